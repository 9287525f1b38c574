//! Every change of structure changes the fingerprint; changes that are none do not.

use midflight_message::{Fingerprint, Schema, SchemaTree};

fn print<S: Schema>() -> Fingerprint {
    Fingerprint::of_text(&SchemaTree::of::<S>().unwrap().to_string())
}

mod base {
    use midflight_message::Schema;

    #[derive(Schema)]
    pub(super) struct Part {
        pub(super) _a: u32,
        pub(super) _b: String,
    }

    #[derive(Schema)]
    pub(super) enum Choice {
        _One,
        _Two(u8),
    }
}

macro_rules! differs {
    ($($test:ident: $base:path, { $($changed:item)* })*) => {$(
        #[test]
        fn $test() {
            #[allow(unused_imports, dead_code, reason = "only the schemas matter")]
            mod changed {
                use midflight_message::Schema;
                $($changed)*
            }
            type Base = $base;
            assert_ne!(print::<Base>(), print::<changed::T>());
        }
    )*};
}

differs! {
    field_renamed: base::Part, {
        #[derive(Schema)] pub(super) struct Part { _a: u32, _c: String }
        pub(super) type T = Part;
    }
    fields_swapped: base::Part, {
        #[derive(Schema)] pub(super) struct Part { _b: String, _a: u32 }
        pub(super) type T = Part;
    }
    field_added: base::Part, {
        #[derive(Schema)] pub(super) struct Part { _a: u32, _b: String, _c: () }
        pub(super) type T = Part;
    }
    type_changed: base::Part, {
        #[derive(Schema)] pub(super) struct Part { _a: u64, _b: String }
        pub(super) type T = Part;
    }
    type_renamed: base::Part, {
        #[derive(Schema)] pub(super) struct Piece { _a: u32, _b: String }
        pub(super) type T = Piece;
    }
    default_added: base::Part, {
        #[derive(Schema)] pub(super) struct Part { _a: u32, #[serde(default)] _b: String }
        pub(super) type T = Part;
    }
    alias_added: base::Part, {
        #[derive(Schema)] pub(super) struct Part { _a: u32, #[serde(alias = "c")] _b: String }
        pub(super) type T = Part;
    }
    variant_renamed: base::Choice, {
        #[derive(Schema)] pub(super) enum Choice { _One, _Three(u8) }
        pub(super) type T = Choice;
    }
    variants_swapped: base::Choice, {
        #[derive(Schema)] pub(super) enum Choice { _Two(u8), _One }
        pub(super) type T = Choice;
    }
    variant_shape_changed: base::Choice, {
        #[derive(Schema)] pub(super) enum Choice { _One, _Two { it: u8 } }
        pub(super) type T = Choice;
    }
    part_of_a_part_changed: Vec<(base::Part, base::Choice)>, {
        #[derive(Schema)] pub(super) enum Choice { _One, _Two(u16) }
        pub(super) type T = Vec<(super::base::Part, Choice)>;
    }
}

#[test]
fn what_is_not_on_the_wire_does_not_matter() {
    mod elsewhere {
        use midflight_message::Schema;

        #[derive(Schema)]
        pub(super) struct Part {
            pub(super) _a: u32,
            #[serde(skip)]
            pub(super) _cache: std::sync::OnceLock<u8>,
            pub(super) _b: Box<str>,
        }
    }
    assert_eq!(print::<base::Part>(), print::<elsewhere::Part>());
}
