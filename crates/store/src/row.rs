//! Answers: rows, and the stream they come in.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};

use crate::{Error, Position, Token};

/// One object of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Cluster, resource, namespace, name, creation time, the child's resourceVersion and the sequence number.
    pub position: Position,
    /// `metadata.uid`.
    pub uid: String,
    /// As much of the object's JSON as [`crate::Content`] asked for, without `metadata.managedFields`.
    pub json: Bytes,
}

/// A piece of an answer, as a back end produces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Some rows, in order, maybe none; not more than fit in a few megabytes. What a back end finds at one go it may tell
    /// in several of these, while it still looks for the rest.
    Rows(Vec<Row>),
    /// There are no more; the token if the limit was reached and there is more behind it.
    End(Option<Token>),
}

/// The rows of an answer, in order. Whoever takes them slowly holds up nobody: a back end looks for a few megabytes of rows
/// at one go, and holds a thread and a snapshot no longer than that takes, however long the rows then wait to be taken.
///
/// The rows of one go are of one moment; with a limit of up to 500 usual objects that is the whole page. The next goes on
/// behind the last row, so every object that stays where it is comes exactly once.
pub struct Rows {
    pieces: BoxStream<'static, Result<Piece, Error>>,
    ready: std::vec::IntoIter<Row>,
    over: bool,
    token: Option<Token>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl Rows {
    /// For back ends: `pieces` ends with [`Piece::End`] or an error.
    pub fn new(pieces: BoxStream<'static, Result<Piece, Error>>) -> Self {
        Self { pieces, ready: Vec::new().into_iter(), over: false, token: None }
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// Those of the store; the answer is then incomplete and over.
    pub async fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            if let Some(row) = self.ready.next() {
                return Ok(Some(row));
            }
            if self.over {
                return Ok(None);
            }
            match self.pieces.next().await {
                Some(Ok(Piece::Rows(rows))) => self.ready = rows.into_iter(),
                Some(Ok(Piece::End(token))) => {
                    self.over = true;
                    self.token = token;
                }
                Some(Err(error)) => {
                    self.over = true;
                    return Err(error);
                }
                None => {
                    self.over = true;
                    return Err(Error::Failed("the answer broke off".into()));
                }
            }
        }
    }

    /// After the last row: the token of the next page, if there is one.
    pub fn continue_token(&self) -> Option<&Token> {
        self.token.as_ref()
    }
}
