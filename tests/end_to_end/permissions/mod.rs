//! What functions and operations may do at the broker, against a real nats-server.

mod account;
mod documentation;
mod lines;
mod process;
mod refused;
mod shop;
mod veil;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_needed_and_all_of_them_are_enough() {
    lines::each_line_is_needed_and_all_of_them_are_enough().await;
}

#[tokio::test]
async fn nothing_but_its_own_is_open_to_a_function() {
    refused::nothing_but_its_own_is_open_to_a_function().await;
}

#[tokio::test]
async fn what_one_function_schedules_for_another_is_buried() {
    refused::what_one_function_schedules_for_another_is_buried().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_application_works_and_nobody_is_denied_anything() {
    shop::the_whole_application_works_and_nobody_is_denied_anything().await;
}

#[tokio::test]
async fn a_function_works_with_the_claims_of_its_jwt() {
    shop::a_function_works_with_the_claims_of_its_jwt().await;
}
