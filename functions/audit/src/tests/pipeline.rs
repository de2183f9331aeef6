//! The function in its pipeline: batches of any size, crashes, repetition.

use jetlag::testing::{Fault, System};

use super::*;

fn placed(trail: &mut System, count: usize) {
    for number in 0..count {
        trail.publish(OrderPlaced { order_id: format!("ORD-{number}"), ..OrderPlaced::example() });
    }
}

/// Every checkpoint continues the one before.
fn is_chained(checkpoints: &[AuditSealed]) -> bool {
    checkpoints.windows(2).all(|pair| pair[1].previous == pair[0].hash && pair[1].from == pair[0].to + 1)
}

#[tokio::test]
async fn every_entry_is_sealed_once_whatever_happens_to_the_process() {
    for fault in Fault::EACH {
        for seed in 0..3 {
            let mut trail = System::of_seed(seed).function(CONTRACT, (), seal);
            trail.fault("audit", fault);
            placed(&mut trail, 7);
            let course = trail.run().await;
            let checkpoints = trail.events::<AuditSealed>();
            assert!(is_chained(&checkpoints), "{fault:?}, seed {seed}: {checkpoints:?}\n{course}");
            let head: Chain = trail.state("audit", HEAD).unwrap();
            assert_eq!(head.seen, 7 + head.checkpoint, "{fault:?}, seed {seed}\n{course}");
            assert_eq!(checkpoints.len() as u64, head.checkpoint, "{fault:?}, seed {seed}\n{course}");
            assert!(trail.dead_letters().is_empty(), "a trail has no dead letters");
        }
    }
}
