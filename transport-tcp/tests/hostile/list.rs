//! The list of attacks; each is run by itself and in the attackers' hour.
#![allow(unused_macros, reason = "each test program uses a part")]

/// Those that mean something on bare TCP and under TLS.
macro_rules! cases {
    ($use:ident) => {
        $use! {
            handshakes: garbage_to_the_port, garbage_on_the_stream,
                early_close_at_every_byte_of_the_handshake, an_oversize_message,
                messages_that_are_none, a_dripped_hello, silence_after_connect,
                a_welcome_never_confirmed, frames_before_the_confirmation, no_common_version,
                an_address_that_is_none_of_a_peer;
            frames: early_close_at_every_byte_of_frames, frames_that_may_not_be,
                garbage_after_the_handshake, endless_fragments_of_one_message,
                endless_fragments_of_many_messages, a_dripped_frame, silence_after_the_handshake;
            names: a_replayed_hello, a_replayed_confirmation, hello_while_the_link_lives,
                hello_while_the_link_is_silent, hello_while_nothing_is_taken;
            links: crossed_and_the_peer_is_first, crossed_and_the_peer_takes_its_time,
                crossed_and_the_peer_must_yield,
                crossed_after_it_is_welcome, crossed_before_the_dial,
                crossed_and_never_confirmed, welcome_in_the_diallers_own_name;
            dialled: answers_that_are_none, a_dripped_welcome, closes_at_every_byte_of_the_welcome,
                never_answers, crossed_for_ever, welcomes_with_frames_at_once;
            floods: pings_and_nothing_is_read, credits, opens, opens_and_closes, small_messages,
                hellos_of_one_name;
            deaf: asks_and_reads_nothing, is_sent_to_and_reads_nothing, says_nothing_to_our_bye,
                ignores_our_bye, says_bye_and_stays, says_bye_and_reads_late, says_bye_and_reads_nothing;
        }
    };
}

/// Those that are about TLS itself.
macro_rules! cases_of_tls {
    ($use:ident) => {
        $use! {
            records: early_close_at_every_byte_of_tls, a_recorded_session_again,
                a_byte_changed_on_the_way, a_byte_changed_anywhere_in_the_handshake,
                a_handshake_record_without_end, a_handshake_message_in_crumbs,
                early_data_that_is_nothing;
        }
    };
}

/// Those that take all the room there is, so that nothing else can go on beside them.
macro_rules! cases_alone {
    ($use:ident) => {
        $use! {
            floods: thousands_of_half_open_handshakes, as_many_links_as_there_may_be;
        }
    };
}
