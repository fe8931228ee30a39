//! Avro by the examples of its specification, and by what would harm a decoder.

use proptest::prelude::*;

use super::*;

fn schemas(text: &str) -> AvroSchemas {
    AvroSchemas(BTreeMap::from([(17, Schema::parse(text).unwrap())]))
}

fn decoded(schema: &str, payload: &[u8]) -> Result<String, String> {
    let json = schemas(schema).decode(17, payload).unwrap()?;
    Ok(String::from_utf8(json).unwrap())
}

#[test]
fn every_type_is_json_as_other_formats_have_it() {
    let cases: &[(&str, &[u8], &str)] = &[
        (r#""null""#, &[], "null"),
        (r#""boolean""#, &[1], "true"),
        // The specification's table of zigzag numbers.
        (r#""int""#, &[0x01], "-1"),
        (r#""long""#, &[0x7f], "-64"),
        (r#""long""#, &[0x80, 0x01], "64"),
        (r#""float""#, &[0, 0, 0xc0, 0x3f], "1.5"),
        (r#""double""#, &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], "1.5"),
        (r#""string""#, b"\x06foo", "\"foo\""),
        (r#""bytes""#, b"\x06foo", "\"foo\""),
        (r#""bytes""#, &[4, 0xff, 0x00], "\"/wA=\""),
        (
            r#"{"type":"record","name":"test","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#,
            &[0x36, 0x06, 0x66, 0x6f, 0x6f],
            r#"{"a":27,"b":"foo"}"#,
        ),
        (r#"{"type":"enum","name":"Foo","symbols":["A","B","C","D"]}"#, &[6], "\"D\""),
        (r#"{"type":"array","items":"long"}"#, &[0x04, 0x06, 0x36, 0x00], "[3,27]"),
        // A block whose count is negative says its bytes; an array may have several blocks.
        (
            r#"{"type":"array","items":"long"}"#,
            &[0x03, 0x04, 0x06, 0x36, 0x02, 0x08, 0x00],
            "[3,27,4]",
        ),
        (r#"{"type":"map","values":"int"}"#, b"\x02\x02a\x02\x00", r#"{"a":1}"#),
        (r#"["null","string"]"#, &[0x02, 0x02, 0x61], "\"a\""),
        (r#"["null","string"]"#, &[0x00], "null"),
        (r#"{"type":"fixed","name":"f","size":2}"#, b"ab", "\"ab\""),
        (
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            &[0x80, 0xa4, 0xec, 0xdf, 0x95, 0x67],
            "\"2026-03-02T10:00:00.000000Z\"",
        ),
        (r#"{"type":"int","logicalType":"date"}"#, &[0x02], "\"1970-01-02\""),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":8,"scale":2}"#,
            &[4, 0x04, 0xd2],
            "\"12.34\"",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":8,"scale":2}"#,
            &[2, 0xff],
            "\"-0.01\"",
        ),
        (r#"{"type":"string","logicalType":"uuid"}"#, b"\x02a", "\"a\""),
    ];
    for (schema, payload, json) in cases {
        assert_eq!(decoded(schema, payload).as_deref(), Ok(*json), "{schema} {payload:?}");
    }
}

#[test]
fn names_are_found_in_their_namespace_and_a_type_may_hold_itself() {
    let list = r#"{"type":"record","name":"List","namespace":"com.example","fields":[
        {"name":"value","type":"int"},{"name":"next","type":["null","List"]}]}"#;
    assert_eq!(
        decoded(list, &[2, 2, 4, 0]).as_deref(),
        Ok(r#"{"value":1,"next":{"value":2,"next":null}}"#)
    );
    let endless = [2, 2].repeat(200);
    assert!(decoded(list, &endless).unwrap_err().contains("levels"));
}

#[test]
fn what_is_no_schema_says_where() {
    for (schema, what) in [
        ("{", "wanted the JSON of an Avro schema"),
        (r#""strin""#, "wanted a known type, found `strin`"),
        (r#"{"type":"array"}"#, "array: wanted `items`, found none"),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"x"}]}"#,
            "r: a: wanted a known type, found `x`",
        ),
        (r#"{"type":"fixed","name":"f"}"#, "f: wanted a number `size`, found none"),
        (
            r#"[{"type":"fixed","name":"f","size":1},{"type":"fixed","name":"f","size":1}]"#,
            "wanted `f` once, found it again",
        ),
        (r#"{"type":"bytes","logicalType":"decimal","scale":99}"#, "wanted a `scale` of 0 to 38"),
    ] {
        let error = Schema::parse(schema).unwrap_err();
        assert!(error.starts_with(what), "{schema}: {error}");
    }
}

#[test]
fn a_payload_that_claims_more_than_it_has_takes_no_room() {
    let nulls = r#"{"type":"array","items":"null"}"#;
    // 2^40 nulls take no bytes in Avro.
    let count = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x04];
    assert!(decoded(nulls, &count).unwrap_err().contains("bytes of JSON"));
    assert!(decoded(r#""string""#, &[0xfe, 0xff, 0xff, 0xff, 0x0f]).is_err());
    assert!(decoded(r#""string""#, &[0x01]).unwrap_err().contains("less than 0"));
    assert!(decoded(r#""long""#, &[0xff; 11]).is_err());
    assert!(decoded(r#""long""#, &[2, 2]).unwrap_err().contains("1 bytes more"));
    let empty = r#"{"type":"array","items":{"type":"record","name":"e","fields":[]}}"#;
    assert!(decoded(empty, &count).is_err());
}

#[test]
fn a_folder_has_schemas_by_their_ids_and_names_the_file_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("17.avsc"), r#""string""#).unwrap();
    fs::write(folder.path().join("README"), "no schema").unwrap();
    let schemas = AvroSchemas::read(folder.path()).unwrap();
    assert!(schemas.decode(17, b"\x02a").is_some() && schemas.decode(18, b"\x02a").is_none());

    fs::write(folder.path().join("18.avsc"), "{}").unwrap();
    let error = AvroSchemas::read(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("18.avsc: wanted a `type`, found none"), "{error}");
    fs::remove_file(folder.path().join("18.avsc")).unwrap();
    fs::write(folder.path().join("uses.avsc"), r#""string""#).unwrap();
    assert!(matches!(AvroSchemas::read(folder.path()), Err(AvroSchemaError::Name { .. })));
}

proptest! {
    #[test]
    fn no_payload_harms_a_decoder(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let schema = r#"{"type":"record","name":"r","fields":[
            {"name":"a","type":["null","string",{"type":"array","items":"r"}]},
            {"name":"b","type":{"type":"map","values":["long","bytes","double"]}},
            {"name":"c","type":{"type":"int","logicalType":"timestamp-millis"}}]}"#;
        if let Ok(json) = decoded(schema, &payload) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
