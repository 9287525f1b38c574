//! Reading a canonical schema text back, from anyone.

use crate::builder;
use crate::limits::{MAX_DEFINITIONS, MAX_SCHEMA_BYTES, MAX_TYPE_DEPTH};
use crate::shape::{Body, Definition, Field, Shape, Variant};
use crate::text::is_plain_byte;
use crate::tree::{Scalar, SchemaError, SchemaTree, Type};

impl SchemaTree {
    /// Reads a canonical text.
    ///
    /// Only the one text that the tree itself would write is taken, so that a schema has one
    /// fingerprint.
    ///
    /// # Errors
    ///
    /// When the text breaks a bound or is not canonical. Hostile texts never cost more than that.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(SchemaError::TooLarge);
        }
        let mut parser = Parser { text, at: 0, highest: None };
        let root = parser.ty(0)?;
        parser.eat("\n")?;
        let mut definitions = Vec::new();
        while !parser.rest().is_empty() {
            if definitions.len() == MAX_DEFINITIONS {
                return Err(SchemaError::TooManyDefinitions);
            }
            definitions.push(parser.definition(definitions.len())?);
        }
        // The highest number must be the last definition's, or something is undefined or unused.
        if parser.highest.map_or(0, |highest| highest + 1) != definitions.len() {
            return Err(SchemaError::NotCanonical);
        }
        let tree = builder::finish(root, definitions)?;
        if tree.to_string() == text { Ok(tree) } else { Err(SchemaError::NotCanonical) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The highest number met so far; numbers may only grow by one.
    highest: Option<usize>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    const fn expected<T>(&self, expected: &'static str) -> Result<T, SchemaError> {
        Err(SchemaError::Syntax { at: self.at, expected })
    }

    fn try_eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn eat(&mut self, token: &'static str) -> Result<(), SchemaError> {
        if self.try_eat(token) { Ok(()) } else { self.expected(token) }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, SchemaError> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let Ok(number) = self.rest()[..digits].parse() else {
            return self.expected("a number");
        };
        self.at += digits;
        Ok(number)
    }

    fn word(&mut self) -> &'a str {
        let length = self.rest().bytes().take_while(|&byte| is_plain_byte(byte)).count();
        let word = &self.rest()[..length];
        self.at += length;
        word
    }

    fn name(&mut self) -> Result<String, SchemaError> {
        if !self.try_eat("\"") {
            let word = self.word();
            return if word.is_empty() { self.expected("a name") } else { Ok(word.to_owned()) };
        }
        let mut name = String::new();
        let mut letters = self.rest().char_indices();
        while let Some((index, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += index + 1;
                    return Ok(name);
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => name.push('\n'),
                    Some((_, quoted)) => name.push(quoted),
                    None => break,
                },
                _ => name.push(letter),
            }
        }
        self.expected("a closing quote")
    }

    fn ty(&mut self, depth: usize) -> Result<Type, SchemaError> {
        if depth > MAX_TYPE_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        if self.try_eat("#") {
            return self.reference();
        }
        let start = self.at;
        let word = self.word();
        let boxed = |parser: &mut Self| parser.ty(depth + 1).map(Box::new);
        Ok(match word {
            "option" | "seq" | "set" => {
                self.eat("<")?;
                let item = boxed(self)?;
                self.eat(">")?;
                match word {
                    "option" => Type::Option(item),
                    "seq" => Type::Seq(item),
                    _ => Type::Set(item),
                }
            }
            "map" => {
                self.eat("<")?;
                let key = boxed(self)?;
                self.eat(", ")?;
                let value = boxed(self)?;
                self.eat(">")?;
                Type::Map(key, value)
            }
            "array" => {
                self.eat("<")?;
                let item = boxed(self)?;
                self.eat(", ")?;
                let length = self.number()?;
                self.eat(">")?;
                Type::Array(item, length)
            }
            "tuple" => {
                self.eat("(")?;
                Type::Tuple(self.list(")", |parser| parser.ty(depth + 1))?)
            }
            _ => match Scalar::ALL.into_iter().find(|scalar| scalar.name() == word) {
                Some(scalar) => Type::Scalar(scalar),
                None => {
                    self.at = start;
                    return self.expected("a type");
                }
            },
        })
    }

    /// A named type. Numbers are given in the order of first mention, so a new one is the next.
    fn reference(&mut self) -> Result<Type, SchemaError> {
        let number = self.number::<usize>()?;
        let next = self.highest.map_or(0, |highest| highest + 1);
        if number > next || number >= MAX_DEFINITIONS {
            return Err(SchemaError::NotCanonical);
        }
        self.highest = self.highest.max(Some(number));
        Ok(Type::Named(number))
    }

    /// What stands between here and the closing token.
    fn list<T>(
        &mut self,
        close: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, SchemaError>,
    ) -> Result<Vec<T>, SchemaError> {
        let mut items = Vec::new();
        if self.try_eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.try_eat(", ") {
                self.eat(close)?;
                return Ok(items);
            }
        }
    }

    fn braces<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, SchemaError>,
    ) -> Result<Vec<T>, SchemaError> {
        if self.try_eat(" {}") {
            return Ok(Vec::new());
        }
        self.eat(" { ")?;
        self.list(" }", item)
    }

    fn definition(&mut self, number: usize) -> Result<Definition<Type>, SchemaError> {
        self.eat("#")?;
        if self.number::<usize>()? != number {
            return Err(SchemaError::NotCanonical);
        }
        self.eat(" = ")?;
        let name = self.name()?;
        let version = if self.try_eat("@") { Some(self.number()?) } else { None };
        self.eat(": ")?;
        let body = self.body()?;
        self.eat("\n")?;
        Ok(Definition { name, version, body })
    }

    fn body(&mut self) -> Result<Body<Type>, SchemaError> {
        if self.try_eat("enum") {
            return self.braces(Self::variant).map(Body::Enum);
        }
        if self.try_eat("transparent(") {
            let inner = self.ty(0)?;
            self.eat(")")?;
            return Ok(Body::Transparent(inner));
        }
        if self.try_eat("checked(") {
            let inner = self.ty(0)?;
            self.eat(")")?;
            return Ok(Body::Checked(inner));
        }
        if self.try_eat("reference(") {
            let name = self.name()?;
            self.eat("@")?;
            let version = self.number()?;
            self.eat(", ")?;
            let pid = self.ty(0)?;
            self.eat(")")?;
            return Ok(Body::Reference { name, version, pid });
        }
        self.shape().map(Body::Plain)
    }

    fn shape(&mut self) -> Result<Shape<Type>, SchemaError> {
        if self.try_eat("unit") {
            return Ok(Shape::Unit);
        }
        if self.try_eat("newtype(") {
            let inner = self.ty(0)?;
            self.eat(")")?;
            return Ok(Shape::Newtype(inner));
        }
        if self.try_eat("tuple(") {
            return self.list(")", |parser| parser.ty(0)).map(Shape::Tuple);
        }
        let closed = self.try_eat("closed ");
        self.eat("struct")?;
        let fields = self.braces(Self::field)?;
        Ok(Shape::Struct { closed, fields })
    }

    fn field(&mut self) -> Result<Field<Type>, SchemaError> {
        let name = self.name()?;
        self.eat(": ")?;
        let ty = self.ty(0)?;
        let default = self.try_eat(" default");
        Ok(Field { name, ty, default, aliases: self.aliases()? })
    }

    fn variant(&mut self) -> Result<Variant<Type>, SchemaError> {
        let name = self.name()?;
        self.eat(": ")?;
        let shape = self.shape()?;
        // serde takes only a variant without fields for those that it does not know.
        let other = shape == Shape::Unit && self.try_eat(" other");
        Ok(Variant { name, aliases: self.aliases()?, shape, other })
    }

    fn aliases(&mut self) -> Result<Vec<String>, SchemaError> {
        let mut aliases: Vec<String> = Vec::new();
        while self.try_eat(" alias ") {
            let alias = self.name()?;
            if aliases.last().is_some_and(|last| *last >= alias) {
                return Err(SchemaError::NotCanonical);
            }
            aliases.push(alias);
        }
        Ok(aliases)
    }
}
