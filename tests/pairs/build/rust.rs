//! The types as Rust.

use std::fmt::Write as _;

use crate::model::{Body, Def, Default, Field, Shape, Side, Ty, Variant};

/// How the versions of the two are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Versions {
    Equal,
    /// The second has a conversion.
    From,
    /// One that refuses negative numbers.
    TryFrom,
}

macro_rules! line {
    ($out:expr, $($text:tt)*) => {
        writeln!($out, $($text)*).expect("a String takes it")
    };
}

pub(crate) fn pair(out: &mut String, number: usize, sides: [&Side; 2], versions: Versions) {
    line!(out, "mod p{number} {{\n    use midflight_pairs::{{Pair, pair}};");
    let [theirs, ours] = sides;
    side(out, "theirs", theirs, "Msg");
    if versions == Versions::Equal {
        side(out, "ours", ours, "Msg");
        line!(out, "    pub(crate) fn of() -> Pair {{");
        line!(out, "        pair::<theirs::Msg, ours::Msg, ours::Msg>(Ok)\n    }}\n}}");
        return;
    }
    side(out, "ours", ours, "Old");
    let word = if versions == Versions::From { "from" } else { "try_from" };
    line!(out, "    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]");
    line!(out, "    #[message(name = \"t.Msg\", version = 2, {word}(ours::Old = new))]");
    line!(out, "    pub(crate) struct Msg {{ more: u8, of: ours::Old }}");
    line!(out, "    use midflight_message::Message;\n    use serde::{{Deserialize, Serialize}};");
    if versions == Versions::From {
        line!(out, "    fn new(of: ours::Old) -> Msg {{ Msg {{ more: 7, of }} }}");
        line!(out, "    fn oracle(of: ours::Old) -> Result<Msg, String> {{ Ok(new(of)) }}");
    } else {
        line!(out, "    fn new(of: ours::Old) -> Result<Msg, String> {{");
        line!(
            out,
            "        midflight_pairs::not_negative(of).map(|of| Msg {{ more: 7, of }})\n    }}"
        );
        line!(out, "    fn oracle(of: ours::Old) -> Result<Msg, String> {{ new(of) }}");
    }
    line!(out, "    pub(crate) fn of() -> Pair {{");
    line!(out, "        pair::<theirs::Msg, Msg, ours::Old>(oracle)\n    }}\n}}");
}

/// The function that lists them.
pub(crate) fn list(out: &mut String, pairs: usize) {
    line!(out, "fn all() -> Vec<midflight_pairs::Pair> {{\n    vec![");
    (0..pairs).for_each(|number| line!(out, "        p{number}::of(),"));
    line!(out, "    ]\n}}");
}

fn side(out: &mut String, module: &str, side: &Side, message: &str) {
    line!(out, "    pub(crate) mod {module} {{");
    line!(out, "        use midflight_message::{{Message, Schema}};");
    line!(out, "        use serde::{{Deserialize, Serialize}};");
    for (number, def) in side.defs.iter().enumerate() {
        let message = (number == 0).then_some(message);
        definition(out, def, message, number);
    }
    line!(out, "    }}");
}

fn definition(out: &mut String, def: &Def, message: Option<&str>, number: usize) {
    let part = format!("Part{number}");
    let name = message.unwrap_or(&part);
    let derive = if message.is_some() { "Message" } else { "Schema" };
    let default = if def.default { ", Default" } else { "" };
    let clone = if matches!(def.body, Body::Proxy { .. }) { ", Clone" } else { "" };
    line!(
        out,
        "        #[derive(Serialize, Deserialize, {derive}, PartialEq, Debug{default}{clone})]"
    );
    if message.is_some() {
        line!(out, "        #[message(name = \"t.Msg\", version = 1)]");
    }
    let mut attributes = Vec::new();
    if let (Some(case), Body::Struct(Shape::Named(_)) | Body::Enum(_)) = (def.rename_all, &def.body)
    {
        attributes.push(format!("rename_all = {case:?}"));
    }
    if let (Some(case), Body::Enum(_)) = (def.rename_all_fields, &def.body) {
        attributes.push(format!("rename_all_fields = {case:?}"));
    }
    if def.closed && matches!(def.body, Body::Struct(Shape::Named(_)) | Body::Enum(_)) {
        attributes.push("deny_unknown_fields".to_owned());
    }
    if def.default {
        attributes.push("default".to_owned());
    }
    match &def.body {
        Body::Transparent(_) => attributes.push("transparent".to_owned()),
        Body::Proxy { of, checked } => {
            let from = if *checked { "try_from" } else { "from" };
            attributes.push(format!("{from} = \"{of}\", into = \"{of}\""));
        }
        _ => {}
    }
    if !attributes.is_empty() {
        line!(out, "        #[serde({})]", attributes.join(", "));
    }
    match &def.body {
        Body::Struct(Shape::Named(all)) => {
            line!(out, "        pub(crate) struct {name} {{{}}}", fields(all));
        }
        Body::Struct(Shape::Unit) => line!(out, "        pub(crate) struct {name};"),
        Body::Struct(Shape::Newtype(ty)) | Body::Transparent(ty) => {
            line!(out, "        pub(crate) struct {name}({});", rust(ty));
        }
        Body::Struct(Shape::Tuple(items)) => {
            line!(out, "        pub(crate) struct {name}({});", elements(items));
        }
        Body::Enum(variants) => {
            let variants: Vec<_> = variants.iter().map(variant).collect();
            line!(out, "        pub(crate) enum {name} {{ {} }}", variants.join(", "));
        }
        Body::Proxy { of, checked } => proxy(out, name, of, *checked),
    }
}

fn proxy(out: &mut String, name: &str, of: &str, checked: bool) {
    line!(out, "        pub(crate) struct {name}({of});");
    line!(
        out,
        "        impl From<{name}> for {of} {{ fn from(part: {name}) -> Self {{ part.0 }} }}"
    );
    if checked {
        line!(out, "        impl TryFrom<{of}> for {name} {{\n            type Error = String;");
        line!(out, "            fn try_from(of: {of}) -> Result<Self, String> {{");
        line!(
            out,
            "                if of > 100 {{ Err(\"too much\".to_owned()) }} else {{ Ok(Self(of)) }}"
        );
        line!(out, "            }}\n        }}");
    } else {
        line!(
            out,
            "        impl From<{of}> for {name} {{ fn from(of: {of}) -> Self {{ Self(of) }} }}"
        );
    }
}

fn variant(variant: &Variant) -> String {
    let Variant { name, rename, aliases, rename_all, shape, other } = variant;
    let mut attributes =
        aliases.iter().map(|alias| format!("alias = {alias:?}")).collect::<Vec<_>>();
    attributes.extend(rename.iter().map(|rename| format!("rename = {rename:?}")));
    if matches!(shape, Shape::Named(_)) {
        attributes.extend(rename_all.iter().map(|case| format!("rename_all = {case:?}")));
    }
    attributes.extend(other.then(|| "other".to_owned()));
    let before = serde(&attributes);
    match shape {
        Shape::Unit => format!("{before}{name}"),
        Shape::Newtype(ty) => format!("{before}{name}({})", rust(ty)),
        Shape::Tuple(items) => format!("{before}{name}({})", elements(items)),
        Shape::Named(all) => format!("{before}{name} {{{}}}", fields(all)),
    }
}

fn serde(attributes: &[String]) -> String {
    match attributes {
        [] => String::new(),
        some => format!("#[serde({})] ", some.join(", ")),
    }
}

fn fields(fields: &[Field]) -> String {
    let each = fields.iter().map(|field| {
        let Field { name, ty, rename, aliases, default, skip } = field;
        let mut attributes: Vec<_> =
            aliases.iter().map(|alias| format!("alias = {alias:?}")).collect();
        attributes.extend(rename.iter().map(|rename| format!("rename = {rename:?}")));
        match (default, ty) {
            (Default::None, _) => {}
            (Default::Function, Ty::Plain(of)) => {
                let of = of.to_lowercase();
                attributes.push(format!("default = \"midflight_pairs::default_{of}\""));
            }
            _ => attributes.push("default".to_owned()),
        }
        attributes.extend(skip.then(|| "skip".to_owned()));
        let mut before = String::new();
        if *ty == Ty::Text {
            attributes.push("with = \"midflight_pairs::as_text\"".to_owned());
            before += "#[schema(as = \"String\")] ";
        }
        format!(" {before}{}{name}: {}", serde(&attributes), rust(ty))
    });
    each.collect::<Vec<_>>().join(",") + if fields.is_empty() { "" } else { " " }
}

fn elements(items: &[Ty]) -> String {
    let mut each = items.iter().map(rust).collect::<Vec<_>>().join(", ");
    // A struct of one without a name would be a newtype.
    if items.len() == 1 {
        each += ", #[serde(skip)] u8";
    }
    each
}

fn rust(ty: &Ty) -> String {
    match ty {
        Ty::Plain(of) => (*of).to_owned(),
        Ty::Option(inner) => format!("Option<{}>", rust(inner)),
        Ty::Vec(inner) => format!("Vec<{}>", rust(inner)),
        Ty::Set(of) => format!("std::collections::BTreeSet<{of}>"),
        Ty::Map(key, inner) => format!("std::collections::BTreeMap<{key}, {}>", rust(inner)),
        Ty::Array(inner, length) => format!("[{}; {length}]", rust(inner)),
        Ty::Tuple(items) => {
            let each: Vec<_> = items.iter().map(rust).collect();
            format!("({},)", each.join(", "))
        }
        Ty::Part(number) => format!("Part{number}"),
        Ty::Text => "Vec<u8>".to_owned(),
    }
}
