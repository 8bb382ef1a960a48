//! Runs functions over the tables: the deployment without its wire.
//!
//! HTTP is one way in; another (a sync socket) calls the same methods, reads [`Snapshot::timestamp`] with its results and
//! waits on [`Engine::changes`]. Invariants: a mutation happens all or not at all, and mutations happen one after the
//! other; everything read from one [`Snapshot`] is of one moment; timestamps rise strictly with every write.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use convex_sync_types::{CanonicalizedModulePath, CanonicalizedUdfPath, Timestamp};
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::auth::Identity;
use super::function::{Body, Call, Function, FunctionError, FunctionKind, FunctionOutcome, Thrown};
use super::id::IdSource;
use super::store::{Database, Table, Transaction};
use super::value::{Object, Value, ValueError};
use super::{adapter, demo};
use crate::clock::Now;
use crate::secret::Secret;

/// The module of the demo app.
const DEMO_MODULE: &str = "demo";

/// What a mutation that happened came to.
#[derive(Debug)]
pub struct Committed {
    /// Its result.
    pub value: Value,
    /// The time of its writes; of the newest ones before it when it wrote nothing.
    pub timestamp: Timestamp,
}

/// Functions, tables and the time of the newest write.
#[derive(Debug)]
pub struct Engine {
    modules: Vec<Module>,
    adapter_secret: Secret,
    database: RwLock<Database>,
    /// Nanoseconds since 1970; read it while holding `database` to pair it with what is read there.
    committed: watch::Sender<u64>,
    calls: Mutex<BTreeMap<String, u64>>,
}

#[derive(Debug)]
struct Module {
    /// The path's components, the last one without `.js`.
    components: Vec<String>,
    functions: Vec<Function>,
}

impl Engine {
    /// Empty tables; `now` is the time of the first, empty state. Both modules are served; a call of a function that both
    /// have runs the adapter's.
    pub fn new(module: &CanonicalizedModulePath, adapter_secret: Secret, ids: IdSource, now: Now) -> Self {
        let demo = Module { components: vec![DEMO_MODULE.to_owned()], functions: demo::functions() };
        let adapter = Module { components: components(module), functions: adapter::functions() };
        Self {
            modules: vec![adapter, demo],
            adapter_secret,
            database: RwLock::new(Database::new(ids)),
            committed: watch::Sender::new(nanoseconds(now)),
            calls: Mutex::default(),
        }
    }

    /// The state of this moment, held still until it is dropped: mutations wait for that.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { engine: self, database: self.database.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Runs a query on the newest state.
    ///
    /// # Errors
    ///
    /// - [`FunctionError`]: every variant; the answer of the deployment all the same
    pub fn run_query(
        &self,
        path: &CanonicalizedUdfPath,
        arguments: &RawValue,
        identity: Option<&Identity>,
    ) -> FunctionOutcome {
        self.snapshot().run_query(path, arguments, identity)
    }

    /// Runs a mutation; `now` is the time of its writes.
    ///
    /// # Errors
    ///
    /// - [`FunctionError`]: every variant; nothing was written then
    pub fn run_mutation(
        &self,
        path: &CanonicalizedUdfPath,
        arguments: &RawValue,
        identity: Option<&Identity>,
        now: Now,
    ) -> Result<Committed, FunctionError> {
        let (function, arguments) = self.prepare(path, arguments, FunctionKind::Mutation)?;
        let call = Call { arguments: &arguments, identity };
        let Body::Mutation(body) = function.body else { return Err(unknown(path)) };
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = Transaction::begin(&mut database, now);
        let value = body(&mut transaction, &call)?;
        if transaction.commit() {
            self.committed.send_modify(|newest| *newest = nanoseconds(now).max(newest.saturating_add(1)));
        }
        // Read while the tables are still locked: the next mutation has another time.
        Ok(Committed { value, timestamp: self.newest() })
    }

    /// Runs an action.
    ///
    /// # Errors
    ///
    /// - [`FunctionError`]: every variant; the answer of the deployment all the same
    pub fn run_action(
        &self,
        path: &CanonicalizedUdfPath,
        arguments: &RawValue,
        identity: Option<&Identity>,
    ) -> FunctionOutcome {
        let (function, arguments) = self.prepare(path, arguments, FunctionKind::Action)?;
        let Body::Action(body) = function.body else { return Err(unknown(path)) };
        Ok(body(&Call { arguments: &arguments, identity })?)
    }

    /// The time of the newest write, in nanoseconds since 1970; changes with every mutation that wrote something.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// How often each function of the deployment was called, failed calls included, by `module:function` without `.js`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Only of a settled state while `database` is held.
    fn newest(&self) -> Timestamp {
        Timestamp::try_from(*self.committed.borrow()).unwrap_or(Timestamp::MAX)
    }

    /// Finds the function and reads and checks its arguments, in Convex's order: path, kind, values, validator, secret.
    fn prepare(
        &self,
        path: &CanonicalizedUdfPath,
        arguments: &RawValue,
        kind: FunctionKind,
    ) -> Result<(&Function, Object), FunctionError> {
        let (canonical, function) = self.find(path).ok_or_else(|| unknown(path))?;
        self.count(&canonical, function);
        let printed = || format!("{canonical}.js:{}", function.name);
        if function.kind() != kind {
            return Err(FunctionError::Kind { path: printed(), asked: kind, defined: function.kind() });
        }
        let values = read(arguments).map_err(|source| FunctionError::Value { path: printed(), source })?;
        let arguments = single_object(values)?;
        function.arguments.check(&arguments)?;
        if function.secured && !self.adapter_secret.matches(arguments.text("secret").as_bytes()) {
            return Err(Thrown::WrongSecret.into());
        }
        Ok((function, arguments))
    }

    /// The function that a path names, by components, and its module as one text.
    fn find(&self, path: &CanonicalizedUdfPath) -> Option<(String, &Function)> {
        let wanted = components(path.module());
        let modules = self.modules.iter().filter(|module| module.components == wanted);
        let function =
            modules.flat_map(|module| &module.functions).find(|function| *function.name == **path.function_name())?;
        Some((wanted.join("/"), function))
    }

    fn count(&self, module: &str, function: &Function) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(format!("{module}:{}", function.name)).or_default() += 1;
    }
}

/// The tables at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    engine: &'a Engine,
    database: RwLockReadGuard<'a, Database>,
}

impl Snapshot<'_> {
    /// Runs a query on this state.
    ///
    /// # Errors
    ///
    /// - [`FunctionError`]: every variant; the answer of the deployment all the same
    pub fn run_query(
        &self,
        path: &CanonicalizedUdfPath,
        arguments: &RawValue,
        identity: Option<&Identity>,
    ) -> FunctionOutcome {
        let (function, arguments) = self.engine.prepare(path, arguments, FunctionKind::Query)?;
        let Body::Query(body) = function.body else { return Err(unknown(path)) };
        Ok(body(&self.database, &Call { arguments: &arguments, identity })?)
    }

    /// How many documents a table has.
    pub fn count(&self, table: Table) -> usize {
        self.database.count(table)
    }

    /// The time of the newest write in this state.
    pub fn timestamp(&self) -> Timestamp {
        self.engine.newest()
    }
}

/// Whether a module is spelled as Convex files it, as a lookup by the literal path demands: no `//`, no `/.`, no slash at
/// the end.
pub fn is_plainly_spelled(module: &CanonicalizedModulePath) -> bool {
    format!("{}.js", components(module).join("/")) == module.as_str()
}

/// The answer to a path that no function has.
pub(super) fn unknown(path: &CanonicalizedUdfPath) -> FunctionError {
    FunctionError::Unknown { path: String::from(path.clone().strip()) }
}

/// The components of a module's path, the last one without `.js`: two spellings of one module have the same.
fn components(module: &CanonicalizedModulePath) -> Vec<String> {
    let path = Path::new(module.as_str()).with_extension("");
    path.components().map(|component| component.as_os_str().to_string_lossy().into_owned()).collect()
}

/// The positional arguments: an array is their list, anything else is the only one (`UdfArgsJson`).
fn read(arguments: &RawValue) -> Result<Vec<Value>, ValueError> {
    let listed: Vec<serde_json::Value> = if arguments.get().starts_with('[') {
        serde_json::from_str(arguments.get())?
    } else {
        vec![serde_json::from_str(arguments.get())?]
    };
    listed.into_iter().map(Value::decode).collect()
}

fn single_object(values: Vec<Value>) -> Result<Object, FunctionError> {
    match <[Value; 1]>::try_from(values) {
        Ok([Value::Object(object)]) => Ok(object),
        Ok([argument]) => Err(FunctionError::NoObject { argument }),
        Err(values) => Err(FunctionError::Count { count: values.len(), arguments: Value::Array(values) }),
    }
}

fn nanoseconds(now: Now) -> u64 {
    u64::try_from(now.wall.0).unwrap_or(0).saturating_mul(1_000_000)
}
