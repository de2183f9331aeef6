//! What happens when the broker fails, or a function dies of its input: the table in docs/delivery.md, row by row, and crash
//! isolation, with real processes and real faults.

mod clearly;
mod cluster;
mod deleted;
mod denied;
mod disk;
mod drain;
mod field;
mod full;
mod hostile;
mod isolation;
mod namespace;
mod outage;
mod partition;
mod process;
mod proxy;
mod server;
mod sink;
mod slow;
mod strangers;
mod unreadable;

tests::side_by_side! {
    isolation::what_kills_its_process_is_given_up_and_what_ran_beside_it_is_not,
    isolation::kills_from_outside_condemn_nobody,
    isolation::a_restart_makes_nobody_suspect,
    cluster::cluster_that_loses_its_leader_a_follower_and_its_majority_loses_nothing,
    partition::work_of_a_replica_that_was_cut_off_is_recognised_when_it_comes_back,
    slow::slow_broker_delivers_nothing_twice_while_the_process_lives,
    drain::drained_process_leaves_nothing_that_waits_for_ack_wait,
    disk::full_disk_is_told_and_after_space_is_given_back_and_a_restart_nothing_is_lost,
    outage::frozen_broker_for_less_than_ack_wait_costs_nothing,
    outage::frozen_broker_for_more_than_ack_wait_is_noticed_and_nothing_is_doubled,
    outage::killed_broker_is_found_again,
    outage::lame_duck_broker_is_left_and_found_again,
    outage::restarted_broker_is_found_again,
    clearly::address_that_is_none_is_refused_in_one_line,
    clearly::broker_that_is_not_there_yet_is_told_once_and_waited_for,
    clearly::commit_that_is_larger_than_the_broker_takes_is_given_up_with_the_reason,
    clearly::server_that_is_too_old_is_refused_in_one_line,
    clearly::server_without_jetstream_is_told_once_and_waited_for,
    deleted::deleted_consumer_is_told_and_waited_for,
    deleted::deleted_stream_is_told_and_waited_for,
    denied::credentials_that_are_no_longer_accepted_end_it,
    denied::permission_missing_at_start_ends_it_with_what_to_grant,
    denied::permission_revoked_ends_it_with_what_to_grant,
    denied::wrong_credentials_end_it_at_start,
    unreadable::input_as_large_as_a_message_may_be_is_a_dead_letter,
    unreadable::input_with_unreadable_headers_is_a_dead_letter_and_the_function_goes_on,
    sink::without_a_broker_events_go_to_the_sink_or_their_cause_is_sent_again,
    sink::function_that_needs_the_broker_is_refused_without_one,
    hostile::connections_beyond_the_limit_wait_and_heads_that_never_end_are_cut_off,
    hostile::clients_that_misbehave_are_told_and_cost_little,
    full::admission_closes_before_the_stream_is_full_and_opens_again,
}
