//! A transaction that is known before it begins: on SQLite one message and a share of a sync of the
//! disk, on PostgreSQL its statements one after the other.

use rusqlite::{
    Connection, Statement, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::{Store, sql};
use crate::Error;

/// Statements that are done together or not at all.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Step>);

#[derive(Debug)]
struct Step {
    text: &'static str,
    values: Vec<Value>,
    /// Whether it must change a row.
    is_needed: bool,
}

/// What a plan came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it, and it is on the disk.
    Done,
    /// The step of this number changed nothing and had to, so nothing was done.
    Missed(usize),
}

/// A parameter.
#[derive(Debug)]
pub(super) enum Value {
    Bytes(Option<Vec<u8>>),
    Number(Option<i64>),
    Text(Option<String>),
}

impl Plan {
    /// A statement that counts only if it changes a row; otherwise nothing of the plan is done.
    pub(super) fn must(self, text: &'static str, values: impl Into<Vec<Value>>) -> Self {
        self.with(text, values.into(), true)
    }

    /// A statement that may change rows or not.
    pub(super) fn and(self, text: &'static str, values: impl Into<Vec<Value>>) -> Self {
        self.with(text, values.into(), false)
    }

    fn with(mut self, text: &'static str, values: Vec<Value>, is_needed: bool) -> Self {
        self.0.push(Step { text, values, is_needed });
        self
    }

    /// Runs within a transaction that whoever calls undoes if it is missed.
    pub(super) fn run(&self, connection: &Connection) -> rusqlite::Result<Outcome> {
        for (index, step) in self.0.iter().enumerate() {
            let mut statement = connection.prepare_cached(step.text)?;
            bind(&mut statement, &step.values)?;
            let changed = statement.raw_execute()?;
            if step.is_needed && changed == 0 {
                return Ok(Outcome::Missed(index));
            }
        }
        Ok(Outcome::Done)
    }
}

impl Store {
    /// Does what was planned.
    pub(super) async fn carry_out(&self, plan: Plan) -> Result<Outcome, Error> {
        if let Some(direct) = self.pools.direct() {
            return direct.write(plan).await;
        }
        let mut transaction = self.begin().await?;
        for (index, step) in plan.0.into_iter().enumerate() {
            let changed = bound(transaction.sql(step.text), step.values).execute().await?;
            if step.is_needed && changed == 0 {
                return Ok(Outcome::Missed(index));
            }
        }
        transaction.commit().await?;
        Ok(Outcome::Done)
    }
}

/// `$2` is the second value, wherever it stands: SQLite numbers names in the order of the text.
pub(super) fn bind<V: ToSql>(statement: &mut Statement<'_>, values: &[V]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
        let number: Option<usize> = name.and_then(|name| name.parse().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        let value = value.ok_or(rusqlite::Error::InvalidParameterCount(index, values.len()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

fn bound(statement: sql::Statement<'_>, values: Vec<Value>) -> sql::Statement<'_> {
    values.into_iter().fold(statement, |statement, value| match value {
        Value::Bytes(bytes) => statement.bind(bytes),
        Value::Number(number) => statement.bind(number),
        Value::Text(text) => statement.bind(text),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Number(Some(number)) => ValueRef::Integer(*number),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(None) | Self::Number(None) | Self::Text(None) => ValueRef::Null,
        }))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}
