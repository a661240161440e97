//! What happens while a call waits: progress goes out, cancellation comes in. The only file that knows the request's
//! own token; everything below it may simply be dropped.

use std::future::Future;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Server;
use super::present::ToolError;
use crate::bridge::Attention;

/// A waiting client hears from us at least so often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One call that is being attended to.
pub(super) struct Attended<'a> {
    context: &'a RequestContext<RoleServer>,
    attention: Attention,
}

impl Server {
    /// Begins to attend to a call.
    pub(super) fn attend<'a>(&self, context: &'a RequestContext<RoleServer>) -> Attended<'a> {
        let attention = Attention {
            stop: self.gone.clone(),
            ..Attention::none()
        };
        Attended { context, attention }
    }
}

impl Attended<'_> {
    /// For the bridge: where progress is told.
    pub(super) fn attention(&self) -> &Attention {
        &self.attention
    }

    /// Runs the work to its end, or until the client cancels the call: then it is dropped, and no reply is sent.
    pub(super) async fn run<T, E: Into<ToolError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ToolError> {
        let mut lines = self.attention.progress.subscribe();
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = 0;
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.context.ct.cancelled() => return Err(ToolError::Cancelled),
                done = &mut work => return done.map_err(Into::into),
                Ok(()) = lines.changed() => {}
                _ = heartbeat.tick() => {}
            }
            heartbeat.reset();
            if let Some(token) = self.context.meta.get_progress_token() {
                let mut line = lines.borrow_and_update().clone();
                if line.is_empty() {
                    line.push_str("waiting for the API");
                }
                told += 1;
                self.tell(token, told, line).await;
            }
        }
    }

    /// A client that cannot be told is noticed elsewhere.
    async fn tell(&self, token: ProgressToken, number: u32, line: String) {
        let progress = ProgressNotificationParam::new(token, f64::from(number)).with_message(line);
        if let Err(error) = self.context.peer.notify_progress(progress).await {
            tracing::debug!(%error, "progress not delivered");
        }
    }
}
