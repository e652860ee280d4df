//! The pieces of an answer as a stream. What a piece has found is passed on while the rest of it is still being looked for,
//! so that one core finds objects and another writes them.

use std::collections::VecDeque;

use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use super::selection::{Found, PIECE_ROWS, Selection};
use crate::{Error, Piece, Row};

/// Rows that are passed on at once.
const PORTION: usize = 32;

/// Takes the rows of a piece under way.
pub(crate) struct Portions {
    ready: Vec<Row>,
    taker: mpsc::Sender<Vec<Row>>,
}

impl Portions {
    /// There is room for the rows of a whole piece: nobody ever waits for the taker.
    fn new() -> (Self, mpsc::Receiver<Vec<Row>>) {
        let (taker, portions) = mpsc::channel(PIECE_ROWS as usize / PORTION + 1);
        (Self { ready: Vec::new(), taker }, portions)
    }

    /// Takes a row; `false` if nobody wants the answer any more.
    pub(crate) fn push(&mut self, row: Row) -> bool {
        self.ready.push(row);
        if self.ready.len() < PORTION {
            return true;
        }
        let portion = std::mem::replace(&mut self.ready, Vec::with_capacity(PORTION));
        self.taker.try_send(portion).is_ok()
    }

    /// What was not passed on yet.
    pub(crate) fn rest(self) -> Vec<Row> {
        self.ready
    }
}

type Work = BoxFuture<'static, Result<(Selection, Found), Error>>;

enum State {
    /// The next piece is to be begun.
    Next(Selection),
    UnderWay {
        portions: mpsc::Receiver<Vec<Row>>,
        work: Work,
    },
    /// The piece is found, and this of it is still to be told; then another follows, or none.
    Found(VecDeque<Piece>, Option<Selection>),
}

/// `work` finds the next piece, passes on portions of it, and leaves the rest in what it gives back. It goes on by itself,
/// however slowly the pieces are taken.
pub(crate) fn pieces<W, F>(selection: Selection, work: W) -> BoxStream<'static, Result<Piece, Error>>
where
    W: Fn(Selection, Portions) -> F + Send + 'static,
    F: Future<Output = Result<(Selection, Found), Error>> + Send + 'static,
{
    stream::try_unfold((State::Next(selection), work), async |(mut state, work)| {
        loop {
            state = match state {
                State::Next(selection) => {
                    let (portions, taken) = Portions::new();
                    State::UnderWay { portions: taken, work: Box::pin(work(selection, portions)) }
                }
                State::UnderWay { mut portions, work: mut under_way } => {
                    tokio::select! {
                        biased;
                        Some(rows) = portions.recv() => {
                            let state = State::UnderWay { portions, work: under_way };
                            return Ok(Some((Piece::Rows(rows), (state, work))));
                        }
                        found = &mut under_way => found_all(portions, found?),
                    }
                }
                State::Found(mut pieces, next) => match (pieces.pop_front(), next) {
                    (Some(piece), next) => return Ok(Some((piece, (State::Found(pieces, next), work)))),
                    (None, Some(selection)) => State::Next(selection),
                    (None, None) => return Ok(None),
                },
            };
        }
    })
    .boxed()
}

fn found_all(mut portions: mpsc::Receiver<Vec<Row>>, (selection, found): (Selection, Found)) -> State {
    let mut pieces = VecDeque::new();
    while let Ok(rows) = portions.try_recv() {
        pieces.push_back(Piece::Rows(rows));
    }
    match found {
        Found::Some(rows) => {
            pieces.push_back(Piece::Rows(rows));
            State::Found(pieces, Some(selection))
        }
        Found::All(rows, token) => {
            pieces.extend([Piece::Rows(rows), Piece::End(token)]);
            State::Found(pieces, None)
        }
    }
}
