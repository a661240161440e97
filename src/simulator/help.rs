//! What a person reads about scripts and faults.

pub(super) const TEXT: &str = r#"The simulator: a Managed Agents API on loopback with a scripted agent.
Nothing leaves this machine, nothing costs anything, and each message of its agent says that it is simulated. Reports are
marked as simulated only by a server that runs with --simulate, not by one that is given this address as ANTHROPIC_BASE_URL.

SCRIPTS. Words in brackets, anywhere in a message, choose what the agent does; they combine.
Without one it quotes the message and the turn is over. A missing number is 1, or as named. Unknown words are left alone.

  [work N]          N tool calls with results (bash, read, edit, grep, glob, write)
  [big N K]         N tool results of K kB each (20 if K is missing)
  [two]             two messages with tool calls between them
  [thinking]        more thinking
  [silent]          a turn without any message
  [huge K]          a message of K kB
  [hostile]         a message with escape sequences, bidi and hidden characters, and false instructions
  [unknown]         event types nobody knows
  [unknown_stop]    a stop reason nobody knows
  [seconds S]       the turn lasts about S seconds
  [quiet S]         S seconds without events in the middle of the turn; heartbeats go on
  [late S]          the last message appears S seconds after the idle event (1.5 if S is missing)
  [batch]           messages that arrive during the turn are answered in it
  [approve N]       N bash calls that wait for user.tool_confirmation, under any policy
  [mcp]             an MCP tool call that waits for user.tool_confirmation
  [custom]          a custom tool call that waits for user.custom_tool_result
  [tool_result]     an allowed tool call that waits for user.tool_result, as in self-hosted environments
  [spurious]        what was just answered is announced once more as pending
  [deliver N K]     N files result-1.txt … in the session's outputs, of K kB each (one line if K is missing)
  [deliver_hostile] files whose names must not become paths as they are
  [delegate N S]    N child threads work side by side, about S seconds; a policy always_ask asks for them
  [outcome]         graded work: one verdict needs_revision, then satisfied; the same as user.define_outcome
  [outcome_fails]   graded work whose verdict is failed
  [outcome_max]     graded work that needs revision until max_iterations_reached
  [outcome_gap S]   graded work; before each verdict the session is idle with end_turn for S seconds
  [budget]          uses up the session's budget and pauses; raising or removing it resumes the turn
  [refuse]          ends with refusal and stop_details
  [retries]         is rescheduled, then ends with retries_exhausted
  [error]           session.error, retries exhausted
  [retrying]        session.error, retrying, then success
  [terminate]       session.status_terminated

What the agent writes to /mnt/session/outputs can be listed as files of the session one second after it is idle.
Tools under the policy always_ask wait for user.tool_confirmation in every script. In a self-hosted environment
built-in tools wait for user.tool_result. Each model request costs 3 cents. An outcome with max_iterations 1 ends
with max_iterations_reached.

FAULTS. POST one or a list to /_simulator/faults; DELETE /_simulator/faults forgets them. GET /_simulator/requests
lists what was received. No key is needed for these.

  {"on": "GET */events/stream", "kind": "cut_after_bytes", "bytes": 100, "skip": 0, "times": 1}

  on     a method and a path pattern; * stands for anything in either: "POST /v1/sessions", "GET */events", "* *"
  skip   so many matching requests pass first (0)
  times  it strikes so many times (1), or "always"
  kind   with its fields:

  cut_after_bytes bytes           the connection drops after so many bytes of the body, 0 after the headers
  silence after_bytes             nothing comes after so many bytes (0), no heartbeats either; the connection stays open
  slow_headers ms                 the headers take their time
  status code retry_after acting body
                                  an error status; acting is "before" (nothing happened) or "after" (it was carried out)
  drop acting                     the connection closes without a response
  trickle                         the body comes one byte at a time
  garbage                         streams begin with bytes that are no events; other calls answer HTML
  extra_status code               accepted posts are answered with 201 or 202
  zoneless                        times carry no zone
  list_lag ms                     events are listed so much later than streamed
  endless_page                    a list names the same next page for ever
  no_data                         a send is answered without data
  duplicate_frames                every frame of a stream twice
  reorder_frames                  frames of a stream in swapped pairs
  replay                          a stream sends the whole log first, with id: and retry: fields
  message_frames, bare_frames     every frame is named message; frames are only data: lines
  crlf                            lines of a stream end in CR LF
  error_frame error after_frames  event: error with an envelope after so many frames (0), then the stream ends
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_is_in_the_help() {
        for word in super::super::directives::KNOWN {
            assert!(TEXT.contains(&format!("[{word}")), "{word}");
        }
    }
}
