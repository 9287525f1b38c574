//! Functions that can be started by name, from this node and from others (P8).
//!
//! The table belongs to the node and changes while it runs, so that a loaded bundle can add to it. A
//! function is known by its name and the type of its argument: two with one name and different
//! arguments may stand beside each other, as two versions do.

pub(crate) mod call_on;
mod spawn_channel_on;
pub(crate) mod spawn_error;
pub(crate) mod spawn_on;
pub(crate) mod spawned;

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use midflight_message::{Fingerprint, Message, TypeInfo};
use parking_lot::RwLock;

use crate::ExitReason;
use crate::channel::ReceivePort;
use crate::context::Context;
use crate::mailbox::envelope::Content;
use crate::names::registry::NAME_MAX;
use crate::node::inner::Inner;
use crate::node::{IntoExitReason, Node};
use crate::receive::{Read, read};
use crate::scheduler::function::ProcessFuture;
use crate::scheduler::runner::panic_text;
use crate::send::reply_to::ReplyTo;

/// The name of a registered function with the types of its argument and its result. A program that
/// writes it down once, as a constant, has both sides checked by the compiler.
///
/// ```
/// use midflight_process::Function;
///
/// const SQUARE: Function<u64, u64> = Function::new("example.square");
/// assert_eq!(SQUARE.name(), "example.square");
/// ```
pub struct Function<A, R = Process> {
    name: Cow<'static, str>,
    types: PhantomData<fn(A) -> R>,
}

/// In the place of a result: the function is a process, which answers nobody.
#[derive(Debug, Clone, Copy)]
pub enum Process {}

/// In the place of a result: the function is a process that receives values of type `T` from a channel,
/// and whoever starts it gets the sending end ([`Context::spawn_channel_on`]).
#[derive(Debug)]
pub struct Channel<T>(Process, PhantomData<fn(T)>);

impl<A, R> Function<A, R> {
    /// A function called `name` (1 to 255 bytes).
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), types: PhantomData }
    }

    /// As [`Function::new`], with a name that is made while the program runs.
    #[must_use]
    pub const fn named(name: String) -> Self {
        Self { name: Cow::Owned(name), types: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<A, R> Clone for Function<A, R> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), types: PhantomData }
    }
}

impl<A, R> fmt::Debug for Function<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", self.name)
    }
}

/// A function could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The name is empty or longer than 255 bytes.
    #[error("a function's name has 1 to 255 bytes, this one has {0}")]
    BadName(usize),
    /// There is a function of that name with the same type of argument.
    #[error("the function `{name}` with {argument} is registered already")]
    Taken {
        /// The name.
        name: String,
        /// The argument's type.
        argument: String,
    },
    /// The node has as many functions as it may (`Limits::functions`).
    #[error("the node has as many functions as it may (Limits::functions)")]
    TooMany,
}

/// A registered function, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// The name.
    pub name: String,
    /// The argument's type and its version, as `name@version`.
    pub argument: String,
    /// The fingerprint of the argument's schema.
    pub fingerprint: Fingerprint,
    /// Whether it answers a call.
    pub callable: bool,
}

type Argument = Box<dyn Any + Send>;
type Start = dyn Fn(Context, Argument, Given) -> ProcessFuture + Send + Sync;

/// What a function is given besides its argument.
pub(crate) enum Given {
    Nothing,
    /// Who waits for its result.
    Caller(ReplyTo),
    /// The port that was opened for it.
    Port(u32),
}

/// A registered function.
pub(crate) struct Entry {
    argument: &'static TypeInfo,
    read: fn(&Arc<Inner>, Content) -> Read<Argument>,
    start: Box<Start>,
    pub(crate) callable: bool,
    /// What it receives from a channel of its own, if it does.
    pub(crate) channel: Option<&'static str>,
}

impl Entry {
    fn new<A: Message>(callable: bool, start: Box<Start>) -> Self {
        Self { argument: A::type_info(), read: read_any::<A>, start, callable, channel: None }
    }

    /// A process that has a channel.
    pub(crate) fn channel<A, M, F, T>(function: F) -> Self
    where
        A: Message,
        M: Message,
        F: Fn(Context, A, ReceivePort<M>) -> T + Send + Sync + 'static,
        T: Future<Output: IntoExitReason> + Send + 'static,
    {
        let start = move |context: Context, argument, given: Given| -> ProcessFuture {
            let Given::Port(number) = given else { unreachable!("it says that it has a channel") };
            let port = context.port(number);
            let running = function(context, own::<A>(argument), port);
            Box::pin(running.map(IntoExitReason::into_exit_reason))
        };
        Self { channel: Some(M::NAME), ..Self::new::<A>(false, Box::new(start)) }
    }

    /// A process: `function` runs until it is done.
    pub(crate) fn process<A, F, T>(function: F) -> Self
    where
        A: Message,
        F: Fn(Context, A) -> T + Send + Sync + 'static,
        T: Future<Output: IntoExitReason> + Send + 'static,
    {
        let start = move |context, argument, _nobody_is_answered| -> ProcessFuture {
            Box::pin(function(context, own::<A>(argument)).map(IntoExitReason::into_exit_reason))
        };
        Self::new::<A>(false, Box::new(start))
    }

    /// A process whose result is for whoever called it.
    pub(crate) fn callable<A, R, F, T>(function: F) -> Self
    where
        A: Message,
        R: Message,
        F: Fn(Context, A) -> T + Send + Sync + 'static,
        T: Future<Output = R> + Send + 'static,
    {
        let start = move |context, argument, given: Given| -> ProcessFuture {
            let caller = match given {
                Given::Caller(caller) => Some(caller),
                Given::Nothing | Given::Port(_) => None,
            };
            let running = function(context, own::<A>(argument));
            Box::pin(async move {
                // The future is dropped after a panic: nobody sees what it left half done.
                match (AssertUnwindSafe(running).catch_unwind().await, caller) {
                    (Ok(result), Some(caller)) => caller.reply(result),
                    (Ok(_), None) => {}
                    (Err(panic), caller) => {
                        let text = panic_text(&*panic);
                        if let Some(caller) = caller {
                            caller.abort(format!("panic: {text}"));
                        }
                        return ExitReason::Panic(text);
                    }
                }
                ExitReason::Normal
            })
        };
        Self::new::<A>(true, Box::new(start))
    }

    pub(crate) fn read(&self, inner: &Arc<Inner>, content: Content) -> Read<Argument> {
        (self.read)(inner, content)
    }

    /// Runs the function with an argument that [`Entry::read`] has read.
    pub(crate) fn start(
        &self,
        context: Context,
        argument: Argument,
        given: Given,
    ) -> ProcessFuture {
        (self.start)(context, argument, given)
    }
}

fn read_any<A: Message>(inner: &Arc<Inner>, content: Content) -> Read<Argument> {
    match read::<A>(inner, content) {
        Read::Message(argument) => Read::Message(Box::new(argument)),
        Read::Unreadable(content, refusal) => Read::Unreadable(content, refusal),
        Read::Undecided(content, ty) => Read::Undecided(content, ty),
    }
}

fn own<A: 'static>(argument: Argument) -> A {
    match argument.downcast() {
        Ok(argument) => *argument,
        Err(_) => unreachable!("the function's own `read` has made it"),
    }
}

/// The functions of a node, by name.
#[derive(Default)]
pub(crate) struct FunctionTable {
    functions: RwLock<BTreeMap<String, Vec<Arc<Entry>>>>,
}

impl FunctionTable {
    pub(crate) fn register(
        &self,
        name: &str,
        entry: Entry,
        max: usize,
    ) -> Result<(), FunctionError> {
        if !(1..=NAME_MAX).contains(&name.len()) {
            return Err(FunctionError::BadName(name.len()));
        }
        let mut functions = self.functions.write();
        let same = |other: &Arc<Entry>| is_argument(other, entry.argument);
        if functions.get(name).is_some_and(|entries| entries.iter().any(same)) {
            let argument = entry.argument.to_string();
            return Err(FunctionError::Taken { name: name.to_owned(), argument });
        }
        if count(&functions) >= max {
            return Err(FunctionError::TooMany);
        }
        let entries = functions.entry(name.to_owned()).or_default();
        entries.push(Arc::new(entry));
        // The newest version first: it is tried first where no type is exactly the caller's.
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.argument.version()));
        Ok(())
    }

    fn unregister(&self, name: &str, argument: &TypeInfo) -> bool {
        let mut functions = self.functions.write();
        let Some(entries) = functions.get_mut(name) else { return false };
        let before = entries.len();
        entries.retain(|entry| !is_argument(entry, argument));
        let removed = entries.len() < before;
        if entries.is_empty() {
            functions.remove(name);
        }
        removed
    }

    pub(crate) fn len(&self) -> usize {
        count(&self.functions.read())
    }

    /// The functions of that name: those whose argument is of the very type first.
    pub(crate) fn find(&self, name: &str, argument: Fingerprint) -> Vec<Arc<Entry>> {
        let mut entries = self.functions.read().get(name).cloned().unwrap_or_default();
        entries.sort_by_key(|entry| entry.argument.fingerprint() != argument);
        entries
    }

    fn all(&self) -> Vec<FunctionInfo> {
        let functions = self.functions.read();
        let listed = functions.iter().flat_map(|(name, entries)| {
            entries.iter().map(|entry| FunctionInfo {
                name: name.clone(),
                argument: entry.argument.to_string(),
                fingerprint: entry.argument.fingerprint(),
                callable: entry.callable,
            })
        });
        listed.collect()
    }
}

fn count(functions: &BTreeMap<String, Vec<Arc<Entry>>>) -> usize {
    functions.values().map(Vec::len).sum()
}

impl fmt::Debug for FunctionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

fn is_argument(entry: &Entry, argument: &TypeInfo) -> bool {
    let key = |info: &TypeInfo| (info.name().to_owned(), info.version(), info.fingerprint());
    key(entry.argument) == key(argument)
}

/// The functions of a node that can be started by name: [`Node::functions`].
#[derive(Debug, Clone, Copy)]
pub struct Functions<'a> {
    node: &'a Node,
}

impl Node {
    /// The functions that this node starts for others.
    #[must_use]
    pub const fn functions(&self) -> Functions<'_> {
        Functions { node: self }
    }
}

impl Functions<'_> {
    /// Registers a process.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub fn register<A, F, T>(&self, function: &Function<A>, run: F) -> Result<(), FunctionError>
    where
        A: Message,
        F: Fn(Context, A) -> T + Send + Sync + 'static,
        T: Future<Output: IntoExitReason> + Send + 'static,
    {
        self.enter(function.name(), Entry::process::<A, F, T>(run))
    }

    /// Registers a function that answers calls. Started without a call, its result goes nowhere.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub fn register_callable<A, R, F, T>(
        &self,
        function: &Function<A, R>,
        run: F,
    ) -> Result<(), FunctionError>
    where
        A: Message,
        R: Message,
        F: Fn(Context, A) -> T + Send + Sync + 'static,
        T: Future<Output = R> + Send + 'static,
    {
        self.enter(function.name(), Entry::callable::<A, R, F, T>(run))
    }

    /// Registers a process that receives from a channel, for [`Context::spawn_channel_on`]. Started without,
    /// nobody has the sending end.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub fn register_channel<A, M, F, T>(
        &self,
        function: &Function<A, Channel<M>>,
        run: F,
    ) -> Result<(), FunctionError>
    where
        A: Message,
        M: Message,
        F: Fn(Context, A, ReceivePort<M>) -> T + Send + Sync + 'static,
        T: Future<Output: IntoExitReason> + Send + 'static,
    {
        self.enter(function.name(), Entry::channel::<A, M, F, T>(run))
    }

    fn enter(&self, name: &str, entry: Entry) -> Result<(), FunctionError> {
        let inner = &self.node.inner;
        inner.functions.register(name, entry, inner.limits.functions)
    }

    /// Takes a function away. Processes that run it go on. Answers whether there was one.
    #[must_use]
    pub fn unregister<A: Message, R>(&self, function: &Function<A, R>) -> bool {
        self.node.inner.functions.unregister(function.name(), A::type_info())
    }

    /// All functions, by name.
    #[must_use]
    pub fn all(&self) -> Vec<FunctionInfo> {
        self.node.inner.functions.all()
    }
}
