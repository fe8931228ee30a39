//! Two systems with one credential, made by hand.

use super::*;

fn at(second: u64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(1_700_000_000 + second))
}

/// Sessions of two systems by turns: a buyer in one network, a sync job in another.
fn two_systems(has_sessions: bool, has_addresses: bool) -> (Split, Vec<u32>) {
    let (mut unmixer, mut truth) = (Unmixer::default(), Vec::new());
    for session in 0..60_u64 {
        let who = u32::try_from(session % 2).unwrap();
        let name = format!("s{session}");
        let (address, user_agent, gap) =
            [("10.0.1.7", "buyer/2", 9), ("10.0.2.9", "sync/1", 1)][who as usize];
        let actions = [["vendor.read", "order.create"], ["order.list", "stock.write"]];
        for (number, turn) in (0..4_u64).zip([0, 1, 0, 1]) {
            let one = Use {
                time: at(session * 3_600 + number * gap),
                session: has_sessions.then_some(name.as_str()),
                address: has_addresses.then(|| address.parse().unwrap()),
                user_agent: Some(user_agent),
                action: actions[who as usize][turn],
            };
            assert!(unmixer.push(&one));
            truth.push(who);
        }
    }
    (unmixer.finish(), truth)
}

#[test]
fn two_systems_are_told_apart_and_each_use_is_given_to_its_own() {
    for (has_sessions, has_addresses) in [(true, true), (false, true), (true, false)] {
        let (split, truth) = two_systems(has_sessions, has_addresses);

        let found = measure(&split, &truth);

        assert_eq!((found.users, found.users_true), (2, 2), "{has_sessions} {has_addresses}");
        assert!((found.precision - 1.0).abs() < 1e-9 && (found.recall - 1.0).abs() < 1e-9);
        assert!(0.99 < found.probability, "{}", found.probability);
        assert_eq!(split.users[0].actions.len(), 2);
    }
}

#[test]
fn copies_of_one_system_in_one_network_are_one_user() {
    let mut unmixer = Unmixer::default();
    for session in 0..60_u64 {
        let address = format!("10.0.1.{}", 7 + session % 3);
        let name = format!("s{session}");
        for (number, action) in (0..).zip(["vendor.read", "order.read", "order.create"]) {
            unmixer.push(&Use {
                time: at(session * 86_400 + number * 5),
                session: Some(&name),
                address: Some(address.parse().unwrap()),
                user_agent: Some("buyer/2"),
                action,
            });
        }
    }

    let split = unmixer.finish();

    assert_eq!(split.users.len(), 1);
    assert_eq!(split.users[0].addresses.len(), 3);
    assert_eq!(split.likely(0), [Likely { user: 0, probability: 1.0 }]);
}

#[test]
fn an_address_that_sessions_move_to_belongs_to_the_same_user() {
    let mut unmixer = Unmixer::default();
    for session in 0..40_u64 {
        let name = format!("s{session}");
        for number in 0..4 {
            let address = if number < 2 { "10.0.1.7" } else { "192.0.2.8" };
            unmixer.push(&Use {
                time: at(session * 3_600 + number),
                session: Some(&name),
                address: Some(address.parse().unwrap()),
                user_agent: None,
                action: "mail.read",
            });
        }
    }

    let split = unmixer.finish();

    assert_eq!(split.users.len(), 1);
    assert_eq!(split.users[0].networks, ["10.0.1.0/24", "192.0.2.0/24"]);
}

#[test]
fn what_cannot_be_told_apart_stays_together_and_nothing_gives_nothing() {
    let mut unmixer = Unmixer::default();
    for session in 0..50_u64 {
        let name = format!("s{session}");
        let one = Use {
            time: at(session * 3_600),
            session: Some(&name),
            address: None,
            user_agent: None,
            action: "mail.read",
        };
        unmixer.push(&one);
    }

    assert_eq!(unmixer.finish().users.len(), 1);
    let nothing = Unmixer::default().finish();
    assert!(nothing.users.is_empty() && nothing.is_empty());
}

#[test]
fn the_measure_is_that_of_a_split_counted_by_hand() {
    let (split, truth) = two_systems(true, true);
    // In truth the buyer was two systems: of the first and of the second half of its uses.
    let truth: Vec<u32> = truth
        .iter()
        .enumerate()
        .map(|(at, who)| if *who == 0 && at < 120 { 2 } else { *who })
        .collect();

    let found = measure(&split, &truth);

    assert!((found.precision - 0.75).abs() < 1e-9, "{}", found.precision);
    assert!((found.recall - 1.0).abs() < 1e-9, "{}", found.recall);
    assert!((found.matched - 0.75).abs() < 1e-9, "{}", found.matched);
}
