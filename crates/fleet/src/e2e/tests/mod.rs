//! End-to-end tests that need more than requests and answers.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::fleet::Fleet;

mod abuse;
mod audit;
mod deploying;
mod faults;
mod flags;
mod queries;
mod registration;
mod replicas;
mod rollout;
mod secrets;
mod streams;
mod templates;
mod tunnels;
mod upgrades;

/// A test by name.
pub struct Test {
    /// Its name, a sentence with underscores.
    pub name: &'static str,
    /// When it has failed by not ending.
    pub deadline: Duration,
    /// The test.
    pub run: for<'a> fn(&'a Fleet) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

/// Lists functions of the form `async fn(&Fleet) -> anyhow::Result<()>` with their deadlines in seconds.
macro_rules! tests {
    ($($module:ident :: $name:ident within $seconds:literal),* $(,)?) => {
        vec![$(Test {
            name: stringify!($name),
            deadline: Duration::from_secs($seconds),
            run: |fleet| Box::pin($module::$name(fleet)),
        }),*]
    };
}

/// Every test, in the order they run.
pub fn all() -> Vec<Test> {
    tests![
        upgrades::exec_attach_logs_cp_and_port_forward_work_with_both_protocols within 240,
        upgrades::exec_attach_logs_cp_and_port_forward_work_through_the_search within 480,
        audit::every_visit_is_one_audit_line_with_the_parents_audit_id within 150,
        secrets::no_log_and_no_audit_record_holds_a_credential within 60,
        secrets::no_value_of_a_deployed_secret_is_told_anywhere within 300,
        flags::a_hub_does_not_start_with_proxy_flags_without_their_gate within 240,
        queries::malformed_and_huge_queries_are_refused_and_the_hub_lives_on within 240,
        streams::a_watch_brings_events_while_it_is_open within 60,
        streams::fifty_unread_streams_block_nobody within 120,
        streams::a_big_body_leaves_small_requests_alone within 240,
        streams::a_slow_reader_of_a_file_gets_every_byte_and_slows_nobody within 240,
        streams::an_allowed_target_gets_path_and_query_as_they_were_sent within 120,
        streams::a_watch_stays_open_for_three_minutes within 240,
        templates::a_watch_of_templates_tells_changes_while_it_is_open within 60,
        templates::the_example_of_the_rust_client_keeps_a_template within 900,
        replicas::a_killed_hub_leaves_its_store_to_another_which_goes_on_where_it_ended within 400,
        registration::killing_hub_and_agents_during_registration_loses_and_doubles_nothing within 400,
        deploying::killing_the_agent_while_it_deploys_loses_doubles_and_leaves_behind_nothing within 600,
        abuse::whatever_is_made_to_explode_is_refused_and_the_others_are_served within 600,
        rollout::killing_everything_during_a_rollout_loses_doubles_and_rewrites_nothing within 600,
        faults::a_child_that_was_killed_and_changed_meanwhile_is_stored_as_it_is_then within 400,
        faults::a_child_that_was_set_back_to_an_older_state_is_stored_as_it_is_then within 500,
        faults::a_custom_resource_that_was_removed_and_added_again_is_stored_as_it_is_then within 400,
        faults::a_hub_that_is_killed_during_a_first_list_goes_on_and_writes_nothing_twice within 500,
        faults::a_store_whose_disk_is_full_is_told_and_is_made_up_for within 400,
        faults::a_database_that_is_away_for_a_while_is_told_and_is_made_up_for within 400,
        faults::a_torn_store_is_refused_or_made_up_for_and_never_served within 500,
        tunnels::a_thousand_tunnels_leave_an_ordinary_service_account_undisturbed within 900,
    ]
}
