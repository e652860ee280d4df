//! Jobs and CronJobs.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Condition, Count, Error, List, Metadata, Text, cells, decode, fields},
    duration::{age, human_duration, time},
    selector::LabelSelector,
    text::{NONE, UNSET},
    workloads::Template,
};

fields! { Job<'a> { metadata: Metadata<'a>, spec: JobSpec<'a>, status: JobStatus<'a>, }}

fields! { JobSpec<'a> {
    completions: Option<i64>,
    parallelism: i64,
    selector: LabelSelector<'a>,
    template: Template<'a>,
}}

fields! { JobStatus<'a> {
    conditions: List<Condition<'a>>,
    succeeded: i64,
    start_time: Text<'a>,
    completion_time: Text<'a>,
}}

/// Name, Status, Completions, Duration, Age; Containers, Images, Selector.
pub(crate) fn jobs(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let job: Job<'_> = decode(object)?;
    let Job { metadata, spec, .. } = &job;
    Ok(cells![
        &*metadata.name,
        job.phase(),
        job.completions(),
        job.duration(now),
        age(&metadata.creation_timestamp, now),
        spec.template.containers(),
        spec.template.images(),
        spec.selector.print(),
    ])
}

impl Job<'_> {
    fn phase(&self) -> &'static str {
        let holds = |type_| self.status.conditions.iter().any(|condition| condition.holds(type_));
        if holds("Complete") {
            "Complete"
        } else if holds("Failed") {
            "Failed"
        } else if self.metadata.deletion_timestamp.is_some() {
            "Terminating"
        } else if holds("Suspended") {
            "Suspended"
        } else if holds("FailureTarget") {
            "FailureTarget"
        } else if holds("SuccessCriteriaMet") {
            "SuccessCriteriaMet"
        } else {
            "Running"
        }
    }

    /// `1/3`; `1/1 of 3` for three workers of which one is to succeed.
    fn completions(&self) -> String {
        let succeeded = self.status.succeeded;
        match self.spec {
            JobSpec { completions: Some(wanted), .. } => format!("{succeeded}/{wanted}"),
            JobSpec { parallelism: 2.., .. } => format!("{succeeded}/1 of {}", self.spec.parallelism),
            _ => format!("{succeeded}/1"),
        }
    }

    fn duration(&self, now: Timestamp) -> String {
        let Some(start) = time(&self.status.start_time) else { return String::new() };
        let end = time(&self.status.completion_time).unwrap_or(now);
        human_duration(end.duration_since(start))
    }
}

fields! { CronJob<'a> { metadata: Metadata<'a>, spec: CronJobSpec<'a>, status: CronJobStatus<'a>, }}

fields! { CronJobSpec<'a> {
    schedule: Text<'a>,
    time_zone: Option<Text<'a>>,
    suspend: Option<bool>,
    job_template: JobTemplate<'a>,
}}

fields! { JobTemplate<'a> { spec: JobSpec<'a>, }}

fields! { CronJobStatus<'a> { active: Count, last_schedule_time: Option<Text<'a>>, }}

/// Name, Schedule, Timezone, Suspend, Active, Last Schedule, Age; Containers, Images, Selector.
pub(crate) fn cron_jobs(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let CronJob { metadata, spec, status } = decode(object)?;
    let job = &spec.job_template.spec;
    Ok(cells![
        &*metadata.name,
        spec.schedule,
        spec.time_zone.as_deref().unwrap_or(NONE),
        spec.suspend.map_or(UNSET, |suspend| if suspend { "True" } else { "False" }),
        status.active,
        status.last_schedule_time.map_or_else(|| NONE.into(), |last| age(&last, now)),
        age(&metadata.creation_timestamp, now),
        job.template.containers(),
        job.template.images(),
        job.selector.print(),
    ])
}
