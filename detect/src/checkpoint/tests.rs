//! What taking an image costs, and checkpoints that another build wrote.

use super::*;
use crate::sample::{DAY, START, event, numbered, with};

/// A detector that has seen so many agents of six classes, each three times, and a hundred of them today.
fn detector_of(agents: i64) -> Detector {
    let config = Config::default().with_agents_max(100_000);
    let mut detector = Detector::new(config);
    let mut events = Vec::new();
    for day in 0..3 {
        for agent in 0..agents {
            let class = format!("class-{}", agent % 6);
            let second = START + day * DAY + agent % DAY;
            let made = event(&format!("agent-{agent}"), &class, second, "file.read");
            events.push(with(made, &format!("host-{}", agent % 50)));
        }
    }
    for agent in 0..100 {
        let class = format!("class-{}", agent % 6);
        let made = event(&format!("agent-{agent}"), &class, START + 5 * DAY + agent, "file.read");
        events.push(with(made, &format!("host-{}", agent % 50)));
    }
    detector.fold(&numbered(events));
    assert_eq!(detector.stats().agents, u64::try_from(agents).unwrap());
    detector
}

/// Bytes that were copied to take an image. Agents are not among them, which `slab.rs` shows; what classes
/// are is shared, and packed by whoever writes the image.
fn copied(snapshot: &Snapshot) -> usize {
    let mut packed = snapshot.copies.clone();
    snapshot.open.pack(&mut packed);
    packed.len()
}

#[test]
fn what_is_copied_when_an_image_is_taken_does_not_grow_with_the_agents() {
    let [few, many] = [500, 20_000].map(|agents| copied(&detector_of(agents).snapshot()));

    assert!(many < few + few / 4, "{few} bytes for 500 agents, {many} for 20,000");
}
