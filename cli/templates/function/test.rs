//! {{name}}, in the pipeline that it runs in.

{{uses}}

#[test]
fn the_contract_holds() {
    assert_eq!(CONTRACT.terms().faults(), Vec::<String>::new());
}

#[tokio::test]
async fn its_example_is_handled_once_whatever_happens_to_the_process() {
    for fault in [Fault::FailFirst(1), Fault::Duplicate, Fault::CrashAfterCommit] {
        let mut system = System::of_seed(1).function(CONTRACT, (), handle);
        system.fault("{{name}}", fault);
        let event = {{In}}::example();
#if state,!emits
        let id = event.aggregate_id().to_owned();
#end
        system.publish(event);
        let course = system.run().await;
        assert!(system.dead_letters().is_empty(), "{fault:?}\n{course}");
#if emits
        assert_eq!(system.events::<{{Out}}>().len(), 1, "{fault:?}\n{course}");
#end
#if state,!emits
        assert_eq!(system.state("{{name}}", &id), Some(Tally { events: 1 }), "{fault:?}\n{course}");
#end
    }
}
