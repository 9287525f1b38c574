//! A process without a node: an instance of some code, which is given one input after another and whose effects go
//! nowhere. What it waits for comes at once, or when the test's clock says so.

use std::sync::Arc;
use std::time::Duration;

use midflight_abi::BehaviourDescription;
use midflight_abi::effect::{Effect, Effects};
use midflight_message::{Address, TypeInfo};

use super::TestError;
use super::answers::{Answered, Answers, Asked};
use super::form::own_form;
use super::host::{ME, SENDER, TestHost};
use super::output::{Handled, Output, address};
use super::rest::{Outside, Rest, Timer};
use super::script::Input;
use super::waits::{End, Op, Waits};
use crate::code::{Call, Code, CodeError, Instance, Progress, Reader};
use crate::convert::{find, for_restoring, restore};
use crate::hosted::SavedState;

/// The reply that is waited for while a call is handled.
const CALL: u64 = 1;
/// How often a process goes on between two inputs before it is taken for one that never comes to rest.
const STEPS_MAX: usize = 100_000;

pub(super) struct TestProcess {
    code: Arc<dyn Code>,
    behaviour: u32,
    /// None once its state is lost.
    instance: Option<Box<dyn Instance>>,
    answers: Answers,
    outside: Outside,
    waits: Waits,
    effects: Vec<u8>,
    outputs: Vec<Output>,
    inputs: usize,
    /// Where it could have been switched, if that is noted.
    rests: Option<Vec<Rest>>,
}

impl TestProcess {
    /// Begins a process, and answers what it did.
    pub(super) fn begin(
        code: &Arc<dyn Code>,
        name: &str,
        start: &(TypeInfo, Vec<u8>),
        answers: &Answers,
        notes_rests: bool,
    ) -> Result<(Self, Handled), TestError> {
        let (behaviour, description) =
            find(code.description(), name).map_err(TestError::Convert)?;
        let (form, bytes) = start;
        let start =
            own_form(&**code, (behaviour, Reader::Start), (&description.start, form), bytes)
                .map_err(TestError::Start)?;
        let outside = Outside::default();
        let mut effects = Vec::new();
        let created = code.create(behaviour, &start, &call(&outside.host, false), &mut effects);
        let instance = created.map_err(|e| TestError::Start(e.to_string()))?;
        let mut process = Self::new(Arc::clone(code), behaviour, instance, answers, outside);
        process.rests = notes_rests.then(Vec::new);
        process.effects = effects;
        process.take_effects().map_err(TestError::Start)?;
        let handled = process.go_on()?;
        Ok((process, handled))
    }

    /// Goes on from where `old` rested, in `code`.
    pub(super) fn switched(
        old: &Arc<dyn Code>,
        code: &Arc<dyn Code>,
        name: &str,
        rest: &Rest,
        answers: &Answers,
    ) -> Result<Self, TestError> {
        let saved = for_restoring(&**old, code.description(), name, rest.state.clone());
        let restored = saved.and_then(|saved| restore(&**code, name, &saved));
        let (behaviour, instance) = restored.map_err(TestError::Convert)?;
        let outside = rest.outside.clone();
        let mut process = Self::new(Arc::clone(code), behaviour, instance, answers, outside);
        process.inputs = rest.inputs;
        Ok(process)
    }

    fn new(
        code: Arc<dyn Code>,
        behaviour: u32,
        instance: Box<dyn Instance>,
        answers: &Answers,
        outside: Outside,
    ) -> Self {
        let waits = Waits::of(&*instance);
        let (effects, outputs) = (Vec::new(), Vec::new());
        let (instance, answers) = (Some(instance), answers.clone());
        let rests = None;
        Self {
            code,
            behaviour,
            instance,
            answers,
            outside,
            waits,
            effects,
            outputs,
            inputs: 0,
            rests,
        }
    }

    /// Where it could have been switched so far, in order.
    pub(super) fn take_rests(&mut self) -> Vec<Rest> {
        self.rests.take().unwrap_or_default()
    }

    /// Comes to rest, and ends a wait that it is in the middle of: what is left of an input after a switch.
    pub(super) fn go_on(&mut self) -> Result<Handled, TestError> {
        let gone_on = self.run_on().and_then(|()| self.pass_time());
        self.handled(gone_on)
    }

    /// Gives it an input, and lets it work until it waits for the next.
    ///
    /// # Errors
    /// That it never comes to rest; what its code says is [`Handled::Failed`].
    pub(super) fn give(&mut self, input: &Input) -> Result<Handled, TestError> {
        self.inputs += 1;
        let given = match input {
            Input::Message { form, bytes, is_call } => match self.receivable(form, bytes) {
                Ok((index, bytes)) => {
                    self.receive(index, &bytes, *is_call).and_then(|()| self.pass_time())
                }
                Err(why) => {
                    self.note_rest()?;
                    return Ok(Handled::Refused(why));
                }
            },
            Input::Wait(time) => {
                self.outside.until = Some(self.outside.host.now().saturating_add(*time));
                self.pass_time()
            }
        };
        self.handled(given)
    }

    /// Its state, as its own version.
    fn state(&self) -> Result<SavedState, CodeError> {
        let form = self.description().state.clone();
        let instance = self.instance.as_ref().ok_or(CodeError::Lost)?;
        Ok(SavedState { bytes: instance.save(form.version())?, form })
    }

    fn description(&self) -> &BehaviourDescription {
        &self.code.description().behaviours[self.behaviour as usize]
    }

    fn handled(&mut self, given: Result<(), TestError>) -> Result<Handled, TestError> {
        let outputs = std::mem::take(&mut self.outputs);
        match given {
            Ok(()) => Ok(Handled::Well(outputs)),
            Err(TestError::Code(error)) => Ok(Handled::Failed(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Which message it is to the code, in the code's own form.
    fn receivable(&self, form: &TypeInfo, bytes: &[u8]) -> Result<(u32, Vec<u8>), String> {
        if self.outside.has_exited {
            return Err("the process has ended".into());
        }
        if self.instance.is_none() {
            return Err("the process has failed".into());
        }
        let accepts = &self.description().accepts;
        let found = (0..).zip(accepts).find(|(_, accept)| accept.message.name() == form.name());
        let (index, accept) = found.ok_or_else(|| format!("it takes no `{}`", form.name()))?;
        let reader = (self.behaviour, Reader::Message(index));
        Ok((index, own_form(&*self.code, reader, (&accept.message, form), bytes)?))
    }

    fn receive(&mut self, index: u32, bytes: &[u8], is_call: bool) -> Result<(), TestError> {
        self.waits.called();
        self.waits.owes = is_call;
        let mut effects = std::mem::take(&mut self.effects);
        let call = Call { from: Some(SENDER), ..call(&self.outside.host, is_call) };
        let instance = self.instance.as_mut().ok_or(TestError::Code(CodeError::Lost))?;
        let progress = instance.start(index, bytes, &call, &mut effects);
        self.effects = effects;
        self.came(progress)?;
        self.run_on()
    }

    fn resume(&mut self, op: u64, end: &End) -> Result<(), TestError> {
        self.waits.called();
        let mut effects = std::mem::take(&mut self.effects);
        let call = call(&self.outside.host, false);
        let instance = self.instance.as_mut().ok_or(TestError::Code(CodeError::Lost))?;
        let progress = instance.resume(op, end.as_op_end(), &call, &mut effects);
        self.effects = effects;
        self.came(progress)
    }

    /// What came of a call into the code.
    fn came(&mut self, progress: Result<Progress, CodeError>) -> Result<(), TestError> {
        match progress {
            Ok(progress) => {
                self.waits.is_suspended = progress == Progress::Suspended;
                self.take_effects().map_err(|why| TestError::Code(CodeError::Contract(why)))
            }
            Err(error) => {
                if error.ends_process() {
                    self.instance = None;
                }
                self.waits = Waits::default();
                Err(TestError::Code(error))
            }
        }
    }

    fn take_effects(&mut self) -> Result<(), String> {
        let effects = std::mem::take(&mut self.effects);
        let code = Arc::clone(&self.code);
        let behaviour = &code.description().behaviours[self.behaviour as usize];
        for effect in Effects::new(&effects) {
            let effect = effect.map_err(|e| e.to_string())?;
            self.outputs.extend(Output::of(&effect, behaviour));
            self.apply(&effect, behaviour)?;
        }
        self.effects = effects;
        Ok(())
    }

    fn apply(
        &mut self,
        effect: &Effect<'_>,
        behaviour: &BehaviourDescription,
    ) -> Result<(), String> {
        let later = |millis: &u64| Duration::from_millis(*millis);
        let unknown = || "it sends a message that it has not declared";
        match effect {
            Effect::Reply { .. } => self.waits.owes = false,
            Effect::Send { to: Address::Pid(ME), type_index, payload } => {
                let form = behaviour.sends.get(*type_index as usize).ok_or_else(unknown)?.clone();
                let timer = Timer { number: 0, form, bytes: payload.to_vec() };
                self.outside.set_timer(Duration::ZERO, timer);
            }
            Effect::SendAfter { timer, to: None, millis, type_index, payload } => {
                let accept = behaviour.accepts.get(*type_index as usize).ok_or_else(unknown)?;
                let (number, form) = (*timer, accept.message.clone());
                let timer = Timer { number, form, bytes: payload.to_vec() };
                self.outside.set_timer(later(millis), timer);
            }
            Effect::CancelTimer { set_by: ME, timer } => self.outside.cancel(*timer),
            Effect::Exit { .. } => self.outside.has_exited = true,
            Effect::Call { op, to, type_index, payload, .. } => {
                let (to, message) = (address(*to), payload.to_vec());
                self.waits.await_op(*op, Op::Call { index: *type_index, to, message });
            }
            Effect::Sleep { op, millis } => {
                let until = self.outside.host.now().saturating_add(later(millis));
                self.waits.await_op(*op, Op::Sleep(until));
            }
            Effect::Receive => self.waits.receives = true,
            Effect::UpdatePoint { op } => self.waits.come_to(*op),
            _ => {}
        }
        Ok(())
    }

    /// Ends what it waits for until it waits for an input.
    fn run_on(&mut self) -> Result<(), TestError> {
        for _ in 0..STEPS_MAX {
            self.note_rest()?;
            if !self.waits.is_suspended || self.outside.has_exited {
                return Ok(());
            }
            let Some((op, end)) = self.next_end()? else { return Ok(()) };
            self.resume(op, &end)?;
        }
        Err(TestError::Restless { steps: STEPS_MAX })
    }

    /// The operation that ends next; none: it waits for an input.
    fn next_end(&mut self) -> Result<Option<(u64, End)>, TestError> {
        match self.waits.next_at_once() {
            Some((op, Some(Op::Call { index, to, message }))) => {
                return Ok(Some((op, self.answer(index, to, message)?)));
            }
            Some((op, _)) => return Ok(Some((op, End::Done(Vec::new())))),
            None if self.waits.receives => return Ok(None),
            None => {}
        }
        // Nobody else has anything to do meanwhile.
        let (op, until) = self.waits.next_sleep().ok_or_else(|| {
            TestError::Code(CodeError::Contract("it is suspended and awaits nothing".into()))
        })?;
        Ok(Some((op, self.sleep_until(op, until))))
    }

    fn sleep_until(&mut self, op: u64, until: Duration) -> End {
        self.outside.host.set(until);
        self.waits.slept(op);
        End::Done(Vec::new())
    }

    /// Has the test answer a call.
    fn answer(&self, index: u32, to: String, message: Vec<u8>) -> Result<End, TestError> {
        let contract = || TestError::Code(CodeError::Contract("it makes a call it has not".into()));
        let called = self.description().calls.get(index as usize).ok_or_else(contract)?;
        let asked = Asked { to, form: called.message.clone(), bytes: message };
        Ok(match self.answers.answer(&asked) {
            Answered::Gone => End::Gone,
            Answered::Timeout => End::Timeout,
            Answered::Reply { form, bytes } => {
                let reader = (self.behaviour, Reader::Reply(index));
                match own_form(&*self.code, reader, (&called.reply, &form), &bytes) {
                    Ok(bytes) => End::Done(bytes),
                    Err(why) => End::Refused(why),
                }
            }
        })
    }

    /// What is due comes; in a wait, what is due until its end.
    fn pass_time(&mut self) -> Result<(), TestError> {
        for _ in 0..STEPS_MAX {
            let until = self.outside.until.unwrap_or_else(|| self.outside.host.now());
            let due = self.outside.next_due().filter(|due| *due <= until);
            let sleep = self.waits.next_sleep().filter(|(_, at)| *at <= until);
            match (sleep, due) {
                (Some((op, at)), due) if due.is_none_or(|due| at <= due) => {
                    let end = self.sleep_until(op, at);
                    self.resume(op, &end)?;
                    self.run_on()?;
                }
                (_, Some(due)) => {
                    self.outside.host.set(due);
                    self.own_message()?;
                }
                _ => {
                    self.outside.host.set(until);
                    self.outside.until = None;
                    return Ok(());
                }
            }
        }
        Err(TestError::Restless { steps: STEPS_MAX })
    }

    /// It gets the next message that it has sent itself.
    fn own_message(&mut self) -> Result<(), TestError> {
        let Some(Timer { form, bytes, .. }) = self.outside.take_due() else { return Ok(()) };
        match self.receivable(&form, &bytes) {
            Ok((index, bytes)) => self.receive(index, &bytes, false),
            // As on a node: a dead letter.
            Err(_refused) => Ok(()),
        }
    }

    /// Where it is, if that is a point at which it can be switched.
    ///
    /// # Errors
    /// [`TestError::Save`]: a node would come to switch it here, and could not.
    pub(super) fn rest(&self) -> Result<Option<Rest>, TestError> {
        if !self.waits.rests() || self.outside.has_exited || self.instance.is_none() {
            return Ok(None);
        }
        let state = self.state().map_err(|source| self.not_saved(source))?;
        let (inputs, outside) = (self.inputs, self.outside.clone());
        Ok(Some(Rest { inputs, state, outside }))
    }

    /// The state that it has when a script is at its end; none where it was lost on the way, which its inputs have told.
    ///
    /// # Errors
    /// [`TestError::Save`].
    pub(super) fn last_state(&self) -> Result<Option<SavedState>, TestError> {
        match self.state() {
            Ok(state) => Ok(Some(state)),
            Err(CodeError::Lost) if self.instance.is_none() => Ok(None),
            Err(source) => Err(self.not_saved(source)),
        }
    }

    const fn not_saved(&self, source: CodeError) -> TestError {
        TestError::Save { inputs: self.inputs, source }
    }

    fn note_rest(&mut self) -> Result<(), TestError> {
        if self.rests.is_none() {
            return Ok(());
        }
        let Some(rest) = self.rest()? else { return Ok(()) };
        if let Some(rests) = &mut self.rests
            && rests.last().is_none_or(|last| !last.is_as(&rest))
        {
            rests.push(rest);
        }
        Ok(())
    }
}

impl std::fmt::Debug for TestProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestProcess").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

/// It is wanted, always: then a loop shows every update point that it comes to.
fn call(host: &TestHost, is_call: bool) -> Call<'_> {
    Call { me: ME, from: None, reply_to: is_call.then_some(CALL), is_wanted: true, host }
}
