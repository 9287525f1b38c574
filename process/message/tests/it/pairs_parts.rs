//! More pairs: tuples, newtypes, lists, maps, recursion and pids.

use midflight_message::MismatchReason;

use crate::pairs::pair;

pair! { tuple_elements_widened:
    theirs { pub(super) struct Msg(u8, String, (i8, i8)); }
    ours { pub(super) struct Msg(u64, String, (i64, i8)); }
    always(&[(r#"[1,"x",[-1,2]]"#, r#"[1,"x",[-1,2]]"#)])
}

pair! { tuple_grown:
    theirs { pub(super) struct Msg { at: (u8, u8) } }
    ours { pub(super) struct Msg { at: (u8, u8, u8) } }
    never(MismatchReason::Length,
        "field `at`: theirs is tuple(u8, u8), ours is tuple(u8, u8, u8)", r#"{"at":[1,2]}"#)
}

pair! { tuple_element_of_another_kind:
    theirs { pub(super) struct Msg(u8, String); }
    ours { pub(super) struct Msg(u8, bool); }
    never(MismatchReason::Kind, "field `1`: theirs is string, ours is bool", r#"[1,"x"]"#)
}

pair! { newtype_around_a_field:
    theirs { pub(super) struct Msg { amount: i32, list: Vec<u8> } }
    ours {
        pub(super) struct Msg { amount: Outer, list: Vec<Inner> }
        struct Outer(Inner);
        struct Inner(i64);
    }
    always(&[(r#"{"amount":3,"list":[1]}"#, r#"{"amount":3,"list":[1]}"#)])
}

pair! { newtype_gone:
    theirs {
        pub(super) struct Msg { amount: Amount }
        struct Amount(i64);
    }
    ours { pub(super) struct Msg { amount: Option<i64> } }
    always(&[(r#"{"amount":3}"#, r#"{"amount":3}"#)])
}

pair! { the_same_bytes_under_new_type_names:
    theirs {
        pub(super) struct Msg { part: Part }
        struct Part { a: u8 }
    }
    ours {
        pub(super) struct Msg { #[serde(alias = "bit")] part: Piece }
        struct Piece { a: u8 }
    }
    always(&[(r#"{"part":{"a":1}}"#, r#"{"part":{"a":1}}"#)])
}

pair! { nested_field_of_another_kind:
    theirs {
        pub(super) struct Msg { lines: Vec<Line> }
        struct Line { price: Option<String> }
    }
    ours {
        pub(super) struct Msg { lines: Vec<Line> }
        struct Line { price: Option<u64> }
    }
    never(MismatchReason::Kind, "field `lines[].price`: theirs is string, ours is u64",
        r#"{"lines":[{"price":"1"}]}"#)
}

pair! { nested_risk:
    theirs {
        pub(super) struct Msg { lines: BTreeMap<String, Vec<Line>> }
        struct Line { price: u64 }
    }
    ours {
        pub(super) struct Msg { lines: BTreeMap<String, Vec<Line>> }
        struct Line { #[serde(default)] count: u8, price: u16 }
    }
    may_fail(("lines{}[].price", "the number does not fit into u16"),
        &[(r#"{"lines":{"a":[{"price":1}],"b":[]}}"#,
           r#"{"lines":{"a":[{"price":1,"count":0}],"b":[]}}"#)],
        &[r#"{"lines":{"a":[{"price":1},{"price":65536}]}}"#])
}

pair! { map_values_and_keys_widened:
    theirs { pub(super) struct Msg { of: BTreeMap<u8, i8> } }
    ours { pub(super) struct Msg { of: BTreeMap<u64, i64> } }
    always(&[(r#"{"of":{"1":-1,"255":5}}"#, r#"{"of":{"1":-1,"255":5}}"#)])
}

pair! { map_keys_of_another_kind:
    theirs { pub(super) struct Msg { of: BTreeMap<u8, i8> } }
    ours { pub(super) struct Msg { of: BTreeMap<String, i8> } }
    never(MismatchReason::Kind, "field `of{key}`: theirs is u8, ours is string",
        r#"{"of":{"1":1}}"#)
}

pair! { list_for_a_map:
    theirs { pub(super) struct Msg { of: Vec<(u8, u8)> } }
    ours { pub(super) struct Msg { of: BTreeMap<u8, u8> } }
    never(MismatchReason::Kind,
        "field `of`: theirs is seq<tuple(u8, u8)>, ours is map<u8, u8>", r#"{"of":[[1,1]]}"#)
}

pair! { set_for_a_list:
    theirs { pub(super) struct Msg { of: BTreeSet<u8> } }
    ours { pub(super) struct Msg { of: Vec<u16> } }
    always(&[(r#"{"of":[2,1]}"#, r#"{"of":[1,2]}"#)])
}

pair! { list_for_a_set_would_lose_duplicates:
    theirs { pub(super) struct Msg { of: Vec<u8> } }
    ours { pub(super) struct Msg { of: BTreeSet<u8> } }
    never(MismatchReason::Kind, "field `of`: theirs is seq<u8>, ours is set<u8>",
        r#"{"of":[1,1]}"#)
}

pair! { array_for_a_list:
    theirs { pub(super) struct Msg { of: [u8; 3] } }
    ours { pub(super) struct Msg { of: Vec<u8> } }
    always(&[(r#"{"of":[1,2,3]}"#, r#"{"of":[1,2,3]}"#)])
}

pair! { list_for_an_array:
    theirs { pub(super) struct Msg { of: Vec<u8>, next: u8 } }
    ours { pub(super) struct Msg { of: [u8; 2], next: u8 } }
    may_fail(("of", "the length is not 2"),
        &[(r#"{"of":[1,2],"next":9}"#, r#"{"of":[1,2],"next":9}"#)],
        &[r#"{"of":[1],"next":9}"#, r#"{"of":[1,2,3],"next":9}"#])
}

pair! { array_grown:
    theirs { pub(super) struct Msg { of: [u8; 2] } }
    ours { pub(super) struct Msg { of: [u8; 3] } }
    never(MismatchReason::Length, "field `of`: theirs is array<u8, 2>, ours is array<u8, 3>",
        r#"{"of":[1,2]}"#)
}

pair! { recursion_with_a_new_field:
    theirs { pub(super) struct Msg { value: u32, next: Option<Box<Msg>> } }
    ours { pub(super) struct Msg { #[serde(default)] seen: bool, value: u64, next: Option<Box<Msg>> } }
    always(&[(
        r#"{"value":1,"next":{"value":2,"next":null}}"#,
        r#"{"seen":false,"value":1,"next":{"seen":false,"value":2,"next":null}}"#,
    )])
}

pair! { recursion_through_another_type:
    theirs {
        pub(super) struct Msg { kids: Vec<Kid> }
        struct Kid { name: String, kids: Vec<Kid> }
    }
    ours {
        pub(super) struct Msg { kids: Vec<Child> }
        struct Child { kids: Vec<Kid>, name: String }
        struct Kid { kids: Vec<Child>, age: Option<u8>, name: String }
    }
    always(&[(
        r#"{"kids":[{"name":"a","kids":[{"name":"b","kids":[]}]}]}"#,
        r#"{"kids":[{"name":"a","kids":[{"name":"b","age":null,"kids":[]}]}]}"#,
    )])
}

pair! { a_field_is_not_dug_out_of_a_wrapper_that_never_ends:
    theirs { pub(super) struct Msg { a: i64 } }
    ours {
        pub(super) struct Msg { a: Nest }
        struct Nest(Option<Box<Nest>>);
    }
    never(MismatchReason::TooComplex, "field `a`: theirs is i64, ours is Nest", r#"{"a":1}"#)
}

pair! { unit_struct_for_empty_tuple:
    theirs { pub(super) struct Msg { a: () } }
    ours {
        pub(super) struct Msg { a: Nothing }
        struct Nothing;
    }
    always(&[(r#"{"a":null}"#, r#"{"a":null}"#)])
}

pair! { a_typed_pid_as_a_plain_one:
    theirs { pub(super) struct Msg { to: ProcessRef<u64> } }
    ours { pub(super) struct Msg { to: Pid } }
    always(&[(r#"{"to":{"node":1,"index":2,"generation":3}}"#,
              r#"{"to":{"node":1,"index":2,"generation":3}}"#)])
}

pair! { a_plain_pid_as_a_typed_one:
    theirs { pub(super) struct Msg { to: Pid } }
    ours { pub(super) struct Msg { to: ProcessRef<u64> } }
    never(MismatchReason::Kind,
        "field `to`: theirs is a plain pid, ours is the pid of a process that takes u64",
        r#"{"to":{"node":1,"index":2,"generation":3}}"#)
}

pair! { a_pid_that_takes_something_else:
    theirs { pub(super) struct Msg { to: ProcessRef<u64> } }
    ours { pub(super) struct Msg { to: ProcessRef<String> } }
    never(MismatchReason::Name,
        "field `to`: theirs is the pid of a process that takes u64, ours is the pid of a process \
         that takes string",
        r#"{"to":{"node":1,"index":2,"generation":3}}"#)
}
