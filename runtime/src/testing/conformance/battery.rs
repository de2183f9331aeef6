//! The battery: every property by its name, with what it says.

use crate::testing::conformance::Property;
use crate::testing::conformance::rig::{Check, Rig};
use crate::testing::conformance::{
    batches, consuming, keeping, publishing, queueing, reading, sharing, trail,
};

macro_rules! battery {
    ($($theme:ident::$name:ident $(real $why:literal)?, $says:literal;)*) => {
        pub(super) fn properties() -> Vec<Property> {
            vec![$(Property { name: stringify!($name), says: $says, real_only: battery!(@why $($why)?) }),*]
        }

        pub(super) async fn check<R: Rig>(rig: &R, name: &str) -> Check {
            match name {
                $(stringify!($name) => Box::pin($theme::$name(rig)).await,)*
                _ => Err(format!("there is no property {name}")),
            }
        }
    };
    (@why) => { None };
    (@why $why:literal) => { Some($why) };
}

battery! {
    publishing::expected_zero_is_the_first_on_a_subject, "Of messages on one subject that insist on sequence 0, the first is stored and the second is `Refused`.";
    publishing::an_expected_sequence_is_the_last_on_the_subject, "A value of state is stored if the sequence it insists on is that of the last one, else `Refused`.";
    publishing::a_guard_holds_over_every_type_of_event, "Sequence 0 in the scope `*.*.<aggregate>.<id>` is refused by a message of any type under that id.";
    publishing::a_refusal_stores_nothing, "What is refused is not there, and takes no sequence.";
    publishing::of_racing_commits_one_wins, "Of six connections that commit under one guard at the same time, one wins and five are `Refused`.";
    publishing::of_racing_batches_one_wins, "The same with batches.";
    publishing::a_message_too_large_is_rejected, "A message of more bytes than the broker takes is `Rejected`, not `Ambiguous`; one that the core takes for small enough is stored.";
    publishing::a_subject_that_no_stream_takes_is_rejected real "the core makes its subjects and its streams from one place, so it has no such subject", "A subject that no stream takes is `Rejected` at once.";
    batches::a_batch_has_consecutive_sequences_and_the_last_is_answered, "The messages of a batch have consecutive sequences, whoever else publishes, and the answer is the last.";
    batches::one_stale_state_refuses_the_whole_batch, "One stale value, wherever it stands, refuses the whole batch; nothing of it is there.";
    batches::one_duplicate_event_refuses_the_whole_batch, "So does one event that is there already.";
    batches::a_batch_may_not_insist_twice_on_one_subject, "A second message on a subject that insists refuses the batch; one that does not insist is the later value.";
    batches::two_of_a_batch_may_share_a_scope, "Two messages of a batch may insist on one scope: both are held against what was there before.";
    batches::a_batch_has_at_most_a_thousand_messages, "1,000 messages are a batch; 1,001 are `Rejected`, and nothing is stored.";
    keeping::a_subject_keeps_its_last_message, "A subject holds one message, the last.";
    keeping::the_end_of_an_event_frees_its_guard, "A guard refuses within the horizon, and no longer.";
    keeping::state_outlives_the_horizon, "State that is kept for ever outlives the events it was committed with.";
    keeping::state_with_a_time_of_its_own_goes_when_that_is_over, "State with a time of its own goes when that is over.";
    keeping::the_horizon_does_not_cut_the_time_of_state_short, "State with a time longer than the horizon does not go with the horizon.";
    keeping::each_write_begins_its_time_anew, "Each write of state replaces the time of the one before it, longer or shorter.";
    keeping::a_full_stream_takes_no_new_subject, "A full stream says `Full` to a new subject, alone or in a batch.";
    keeping::a_full_stream_takes_new_versions_if_it_has_one_replica, "A full stream with one replica takes a new value of state that is there, smaller or of the same size; with several it says `Full`.";
    keeping::a_full_stream_still_refuses_what_is_stale, "A full stream still refuses a stale value; what is both full and stale is told as one of the two, and nothing is stored.";
    queueing::what_is_acknowledged_leaves_the_queue, "What is acknowledged leaves a work queue.";
    queueing::what_is_scheduled_comes_up_on_its_target_at_its_time, "A scheduled message comes up on its target, not before its time, with its headers and payload, and leaves its waiting place.";
    queueing::what_waits_counts_no_lag, "While it waits it counts no lag; due, it counts one.";
    queueing::what_is_scheduled_twice_waits_once, "A second schedule under the same name is `Refused` while the first waits.";
    queueing::what_was_due_before_it_came_comes_up_at_once, "A schedule for the past comes up at once.";
    queueing::a_dead_letter_is_written_once, "A second dead letter under one name is `Refused`, and the first stays as it was.";
    consuming::a_lane_brings_what_its_filters_cover_in_order, "A lane brings what its filters cover, in the order of the stream, and nothing else.";
    consuming::a_version_that_was_replaced_does_not_come, "A message that was replaced before it was delivered does not come.";
    consuming::what_is_not_answered_comes_again_and_is_counted, "What is not answered comes again after `ack_wait`, and tells that it is the second and third time.";
    consuming::what_is_given_back_comes_again_at_once, "What is given back comes again at once, as often delivered as it was and once more.";
    consuming::what_is_given_back_for_a_while_comes_after_it, "What is given back for a while comes again after it, and counts as unanswered meanwhile.";
    consuming::signs_of_work_hold_an_input, "Signs of work hold an input beyond `ack_wait`.";
    consuming::signs_of_work_end_a_wait_that_was_asked_for, "A sign of work after a giving back puts `ack_wait` in the place of the delay.";
    consuming::an_answer_to_an_earlier_delivery_completes, "The acknowledgement of an earlier delivery completes the input.";
    consuming::giving_back_an_earlier_delivery_brings_it_again, "Giving back an earlier delivery brings the input again, though somebody works on the later one.";
    consuming::an_acknowledgement_after_a_giving_back_wins, "An acknowledgement wins over a giving back that came before it.";
    consuming::an_acknowledgement_may_come_twice, "A second acknowledgement, or giving back what is acknowledged, changes nothing.";
    consuming::no_more_comes_than_was_asked_for, "No more comes than was asked for, over all requests.";
    consuming::a_request_that_expires_gives_its_rest_back, "A request that expires gives back as credit what has not come.";
    consuming::two_requests_expire_each_for_itself, "Two requests expire each for itself; together they give back all that has not come.";
    consuming::a_lane_that_closes_gives_what_was_on_its_way, "A lane that closes gives what was on its way; given back, it comes again at once.";
    consuming::a_request_ends_with_its_lane, "A request ends with its lane: nothing goes to one that was closed.";
    consuming::a_lane_whose_consumer_is_deleted_is_lost, "A lane whose consumer was deleted says `Lost`, and again when it asks again.";
    consuming::a_message_that_is_gone_leaves_its_consumer, "A message that has expired does not come (again), and counts no lag.";
    sharing::replicas_share_inputs_without_doubles, "Two lanes of one consumer share its inputs: each comes once.";
    sharing::replicas_share_the_limit_on_unanswered_inputs, "They share its limit on unanswered inputs; what is given back for a while holds its place.";
    sharing::with_one_batch_out_order_is_kept, "With no more out than one batch, what is given back comes again before anything behind it.";
    sharing::an_input_of_a_replica_that_died_goes_to_another, "What a lane held that went without a word goes to another after `ack_wait`.";
    reading::the_last_on_a_pattern_is_the_newest, "The last message on a pattern is the newest that it covers, or none.";
    reading::the_leader_shows_every_write_that_was_answered, "A read at the leader shows every write that was answered, whoever made it.";
    reading::one_server_shows_every_write_that_was_answered, "So does a direct read, with one replica.";
    reading::bytes_and_headers_are_read_as_they_were_written, "Subject, sequence, payload and headers are read as they were written, by a delivery, a direct read and one at the leader.";
    reading::a_line_break_in_a_header_does_no_harm, "A line break in a header's value ends no header and begins none.";
    trail::the_trail_has_every_event_and_no_state, "The trail has every subject of four tokens and no state; the original subject is the last word of `Nats-Stream-Source`.";
    trail::the_trail_has_every_version_in_the_order_of_the_events, "The trail has the order of the events.";
}
