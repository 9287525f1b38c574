//! The list of attacks.

macro_rules! cases {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                crate::hostile::ground::run(crate::hostile::$module::$case);
            })*
        })*
    };
}

cases! {
    handshakes: a_message_before_the_handshake, a_signal_before_the_handshake,
        a_proof_before_the_hello, a_proof_where_no_secret_is, silence, a_hello_without_a_welcome, one_identity_over_two_links,
        a_second_hello, another_cluster, no_common_protocol, a_name_that_is_none, an_address_that_is_none,
        the_nodes_own_identity, an_identity_that_is_linked, the_name_of_a_living_node,
        a_refusal_of_a_megabyte, more_peers_than_may_be;
    frames: an_empty_frame, random_frames, signals_cut_short, a_length_that_lies,
        a_type_that_was_not_announced, a_million_types, one_number_for_many_types,
        as_many_types_as_may_be, a_type_announced_again, types_over_many_links, a_types_name_too_long, what_follows_a_violation,
        messages_to_nobody;
    floods: messages_beyond_credit, messages_to_many, calls_beyond_credit, starts_beyond_credit, a_start_of_a_long_name,
        exit_signals, notices, monitors, links, names, groups, a_group_of_no_name, questions_without_end,
        letters_sent_again, switches_without_end;
    lies: replies_that_nobody_waits_for, ends_of_others_processes, ends_of_others_links,
        schemas_that_nobody_asked_for, answers_to_no_question, credit_without_end,
        a_refusal_too_long_to_keep, gossip_that_is_none, absurd_members, a_life_at_the_end_of_time;
    schemas: schemas_that_never_come, a_schema_that_comes_late, schemas_that_it_does_not_have;
}
