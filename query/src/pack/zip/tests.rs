use std::io::Seek as _;
use std::process::Command;

use super::super::member::Member;
use super::*;

/// Everything from this size on is written as ZIP64.
const SMALL: Form = Form { old_max: 100 };

fn members() -> Vec<Finished> {
    let mut stored = Member::new("rows/a.bin", Method::Stored).unwrap();
    stored.write_all(&[7; 300]).unwrap();
    vec![
        Member::of("a.txt", b"first").unwrap(),
        stored.finish().unwrap(),
        Member::of("rows/b.txt", "row\r\n".repeat(1_000).as_bytes()).unwrap(),
    ]
}

fn written(form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    form.assemble(members(), &mut out).unwrap();
    out
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn content(archive: &Archive, name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    archive.read(archive.entry(name).unwrap()).read_to_end(&mut content).unwrap();
    content
}

#[test]
fn what_is_written_is_read_back_and_is_the_same_every_time() {
    let archive = Archive::open(file_of(&written(STANDARD))).unwrap();

    assert_eq!(written(STANDARD), written(STANDARD));
    assert_eq!(archive.entries.len(), 3);
    assert_eq!(content(&archive, "a.txt"), b"first");
    assert_eq!(content(&archive, "rows/a.bin"), [7; 300]);
    assert_eq!(content(&archive, "rows/b.txt"), "row\r\n".repeat(1_000).as_bytes());
}

#[test]
fn no_bit_of_a_header_can_be_turned() {
    for form in [STANDARD, SMALL] {
        let bytes = written(form);
        let archive = form.open(file_of(&bytes)).unwrap();
        let mut contents: Vec<std::ops::Range<u64>> = Vec::new();
        for entry in &archive.entries {
            let start = entry.offset + form.local_header(entry).len() as u64;
            contents.push(start..start + entry.packed_bytes);
        }
        for at in 0..bytes.len() {
            if contents.iter().any(|range| range.contains(&(at as u64))) {
                continue;
            }
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(form.open(file_of(&changed)).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn what_stands_before_after_or_between_is_found() {
    let bytes = written(STANDARD);
    let (mut before, mut after) = (vec![0], bytes.clone());
    before.extend(&bytes);
    after.push(0);

    assert!(Archive::open(file_of(&before)).is_err());
    assert!(Archive::open(file_of(&after)).is_err());
    assert!(Archive::open(file_of(&bytes[..bytes.len() - 1])).is_err());
    assert!(Archive::open(file_of(b"")).is_err());
    assert!(Archive::open(file_of(b"no zip at all, only a text of some length")).is_err());
}

#[test]
fn a_name_leads_out_of_no_folder() {
    for name in ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", ".", "a\\b", "a\u{202E}b"] {
        assert!(!is_plain(name), "{name}");
    }
    assert!(is_plain("rows/events.jsonl"));
}

#[test]
fn other_programs_read_both_forms() {
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  print(sorted((i.filename, i.file_size) for i in z.infolist()))";
    let folder = tempfile::tempdir().unwrap();
    for (name, form) in [("standard.zip", STANDARD), ("large.zip", SMALL)] {
        let path = folder.path().join(name);
        std::fs::write(&path, written(form)).unwrap();
        let Ok(output) = Command::new("python3").args(["-c", script]).arg(&path).output() else {
            writeln!(io::stderr(), "NOT RUN: there is no python3 to read a zip with").unwrap();
            return;
        };
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "[('a.txt', 5), ('rows/a.bin', 300), ('rows/b.txt', 5000)]",
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
