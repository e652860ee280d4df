//! Readers beside writers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::future::{join, join_all};

use super::{
    Place, all, cases,
    data::{Draft, batch, draft, put, things},
    open,
};
use crate::{Content, OrderBy, OrderField, Query};

cases![no_number_goes_backwards, a_batch_is_seen_whole_or_not_at_all];

async fn no_number_goes_backwards(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let (greatest_seen, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let newest = Query {
        order: vec![OrderBy::descending(OrderField::Sequence)],
        limit: std::num::NonZeroU64::new(1),
        content: Content::Keys,
        ..Query::of(things())
    };
    let write = |cluster: usize| {
        let (store, greatest_seen) = (&store, &greatest_seen);
        async move {
            for round in 0..40 {
                let seen_before = greatest_seen.load(Ordering::SeqCst);
                let object = draft("default", "a").version(&round.to_string()).upsert();
                let applied =
                    store.apply(batch(&format!("c{cluster}"), &things(), vec![object])).await.unwrap();
                assert!(applied.sequence > seen_before, "{applied:?}, but {seen_before} was seen before");
                // A back end that answers at once would leave the readers no turn.
                tokio::task::yield_now().await;
            }
        }
    };
    let read = || async {
        let mut last = 0;
        loop {
            let ending = over.load(Ordering::SeqCst);
            let (rows, _) = all(&store, &newest).await;
            let number = rows.first().map_or(0, |row| row.position.sequence);
            assert!(number >= last, "{number} after {last}");
            last = number;
            greatest_seen.fetch_max(number, Ordering::SeqCst);
            if ending {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let writers = async {
        join_all((0..4).map(write)).await;
        over.store(true, Ordering::SeqCst);
    };
    join(writers, join_all((0..3).map(|_| read()))).await;
    assert!(greatest_seen.load(Ordering::SeqCst) > 0);
}

async fn a_batch_is_seen_whole_or_not_at_all(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let round = |round: u32| -> Vec<Draft> {
        (0..100).map(|at| draft("default", &format!("n{at}")).version(&round.to_string())).collect()
    };
    put(&store, "c", &round(0)).await;
    let over = AtomicBool::new(false);
    let write = async {
        for number in 1..20 {
            put(&store, "c", &round(number)).await;
            tokio::task::yield_now().await;
        }
        over.store(true, Ordering::SeqCst);
    };
    let read = async {
        while !over.load(Ordering::SeqCst) {
            let (rows, _) = all(&store, &Query::of(things())).await;
            assert_eq!(rows.len(), 100);
            assert!(rows.iter().all(|row| row.position.version == rows[0].position.version));
            tokio::task::yield_now().await;
        }
    };
    join(write, read).await;
}
