
/*
 * Copyright (C) Delta contributors
 *
 * Counters in shared memory: one slot per process, so that nothing is locked
 * and a dead worker's gauges vanish with it while its counters stay.
 */

#ifndef _NGX_HTTP_DELTA_METRICS_H_INCLUDED_
#define _NGX_HTTP_DELTA_METRICS_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * name, kind, Prometheus name and labels, help.  Kinds: 0 a counter, 1 a gauge;
 * in ms, shown in seconds, the greatest of all workers: 2 a span of time, 3 the
 * time since then (CLOCK_MONOTONIC, 0: never).
 */
#define NGX_HTTP_DELTA_METRICS(X)                                             \
    X(SESSIONS_WS, 1, "delta_sessions{transport=\"ws\"}",                     \
      "Open sessions.")                                                       \
    X(SESSIONS_SSE, 1, "delta_sessions{transport=\"sse\"}", NULL)             \
    X(CHANNELS, 1, "delta_channels", "Channels subscribed to, per worker.")   \
    X(REDIS_UP, 1, "delta_redis_up",                                          \
      "Workers whose links to Redis are up.")                                 \
    X(REDIS_LAG, 2, "delta_redis_lag_seconds",                                \
      "Time to Redis and back by pub/sub, of the worst worker.")              \
    X(REDIS_TICKED, 3, "delta_redis_tick_age_seconds",                        \
      "Time since pub/sub last brought a tick, of the worst worker.")         \
    X(OPENED, 0, "delta_sessions_opened_total", "Sessions opened.")           \
    X(CLOSED_CLIENT, 0, "delta_sessions_closed_total{by=\"client\"}",         \
      "Sessions ended, by cause.")                                            \
    X(CLOSED_PROTOCOL, 0, "delta_sessions_closed_total{by=\"protocol\"}",     \
      NULL)                                                                   \
    X(CLOSED_DRAIN, 0, "delta_sessions_closed_total{by=\"drain\"}", NULL)     \
    X(CLOSED_HEARTBEAT, 0, "delta_sessions_closed_total{by=\"heartbeat\"}",   \
      NULL)                                                                   \
    X(CLOSED_SLOW, 0, "delta_sessions_closed_total{by=\"slow\"}", NULL)       \
    X(CLOSED_RATE, 0, "delta_sessions_closed_total{by=\"rate\"}", NULL)       \
    X(CLOSED_EXPIRED, 0, "delta_sessions_closed_total{by=\"expired\"}", NULL) \
    X(CLOSED_REVOKED, 0, "delta_sessions_closed_total{by=\"revoked\"}", NULL) \
    X(CLOSED_REPLACED, 0, "delta_sessions_closed_total{by=\"replaced\"}",     \
      NULL)                                                                   \
    X(CLOSED_LOGOUT, 0, "delta_sessions_closed_total{by=\"logout\"}", NULL)   \
    X(CLOSED_INTERNAL, 0, "delta_sessions_closed_total{by=\"internal\"}",     \
      NULL)                                                                   \
    X(REFUSED_REQUEST, 0, "delta_refused_total{reason=\"request\"}",          \
      "Connections refused before the upgrade, by reason.")                   \
    X(REFUSED_IDENTITY, 0, "delta_refused_total{reason=\"identity\"}", NULL)  \
    X(REFUSED_ORIGIN, 0, "delta_refused_total{reason=\"origin\"}", NULL)      \
    X(REFUSED_MEMBER, 0, "delta_refused_total{reason=\"membership\"}", NULL)  \
    X(REFUSED_LIMIT, 0, "delta_refused_total{reason=\"limit\"}", NULL)        \
    X(REFUSED_ADMISSION, 0, "delta_refused_total{reason=\"admission\"}",      \
      NULL)                                                                   \
    X(REFUSED_REDIS, 0, "delta_refused_total{reason=\"redis\"}", NULL)        \
    X(REFUSED_BACKFILL, 0, "delta_refused_total{reason=\"backfill\"}", NULL)  \
    X(REFUSED_UPSTREAM, 0, "delta_refused_total{reason=\"upstream\"}", NULL)  \
    X(REFUSED_BUSY, 0, "delta_refused_total{reason=\"busy\"}", NULL)          \
    X(RECEIVED, 0, "delta_events_received_total",                             \
      "Events received from Redis.")                                          \
    X(DELIVERED, 0, "delta_events_delivered_total",                           \
      "Events queued to sessions.")                                           \
    X(DROPPED_SIZE, 0, "delta_events_dropped_total{reason=\"size\"}",         \
      "Events from Redis that were not forwarded, by reason.")                \
    X(DROPPED_JSON, 0, "delta_events_dropped_total{reason=\"json\"}", NULL)   \
    X(DROPPED_OBJECT, 0, "delta_events_dropped_total{reason=\"object\"}",     \
      NULL)                                                                   \
    X(DROPPED_TYPE, 0, "delta_events_dropped_total{reason=\"type\"}", NULL)   \
    X(DROPPED_DATA, 0, "delta_events_dropped_total{reason=\"data\"}", NULL)   \
    X(DROPPED_INVALID, 0,                                                     \
      "delta_events_dropped_total{reason=\"invalid\"}", NULL)                 \
    X(DROPPED_PRIVILEGED, 0,                                                  \
      "delta_events_dropped_total{reason=\"privileged\"}", NULL)              \
    X(DROPPED_RESERVED, 0,                                                    \
      "delta_events_dropped_total{reason=\"reserved\"}", NULL)                \
    X(DROPPED_UNKNOWN, 0,                                                     \
      "delta_events_dropped_total{reason=\"unknown\"}", NULL)                 \
    X(DROPPED_MEMORY, 0, "delta_events_dropped_total{reason=\"memory\"}",     \
      NULL)                                                                   \
    X(UNKNOWN, 0, "delta_unknown_received_total",                             \
      "Events of types that the contract does not know.")                     \
    X(PUBLISHED, 0, "delta_published_total",                                  \
      "Events taken by delta_publish.")                                       \
    X(PUBLISH_ERRORS, 0, "delta_publish_errors_total",                        \
      "Posts that delta_publish has refused.")                                \
    X(WRITES, 0, "delta_writes_total", "Flushes of a session's queue.")       \
    X(BYTES, 0, "delta_sent_bytes_total", "Bytes sent to clients.")           \
    X(COMMANDS, 0, "delta_commands_total", "Commands received.")              \
    X(COMMAND_ERRORS, 0, "delta_command_errors_total",                        \
      "Commands answered by an error.")                                       \
    X(GRANTS, 0, "delta_membership_changes_total{kind=\"grant\"}",            \
      "Membership changes applied to live sessions.")                         \
    X(REVOKES, 0, "delta_membership_changes_total{kind=\"revoke\"}", NULL)    \
    X(BAD_MEMBERS, 0, "delta_membership_bad_ids_total",                       \
      "Ids in membership sets that cannot stand in a channel name.")          \
    X(READS_HIT, 0, "delta_membership_reads_total{result=\"hit\"}",            \
      "Memberships looked for before a session, by how they were found.")     \
    X(READS_FILLED, 0, "delta_membership_reads_total{result=\"filled\"}",     \
      NULL)                                                                   \
    X(READS_RACED, 0, "delta_membership_reads_total{result=\"raced\"}", NULL) \
    X(READS_FAILED, 0, "delta_membership_reads_total{result=\"failed\"}",     \
      NULL)                                                                   \
    X(GAPS, 0, "delta_log_gaps_total",                                        \
      "Events that did not follow the one before.")                           \
    X(LOG_READS, 0, "delta_log_reads_total", "Logs read to fill a gap.")      \
    X(REPAIRED, 0, "delta_log_events_total", "Events taken from logs.")       \
    X(REPLAYED, 0, "delta_replayed_total",                                    \
      "Events replayed to sessions that came back.")                          \
    X(RESYNC_HISTORY_GAP, 0, "delta_resyncs_total{reason=\"history_gap\"}",   \
      "Sessions told to refetch, by reason.")                                 \
    X(RESYNC_TOO_MANY, 0, "delta_resyncs_total{reason=\"too_many\"}", NULL)   \
    X(RESYNC_EPOCH, 0, "delta_resyncs_total{reason=\"epoch_changed\"}", NULL) \
    X(RESYNC_SLOW, 0, "delta_resyncs_total{reason=\"slow\"}", NULL)           \
    X(RESUMES_COMPLETE, 0, "delta_resumes_total{result=\"complete\"}",        \
      "Sessions that came back, by how they were caught up.")                 \
    X(RESUMES_RESYNC, 0, "delta_resumes_total{result=\"resync\"}", NULL)      \
    X(TOKENS_RESUMED, 0, "delta_resume_tokens_total{result=\"resumed\"}",     \
      "Resume tokens, by what became of them.")                               \
    X(TOKENS_REFUSED, 0, "delta_resume_tokens_total{result=\"refused\"}",     \
      NULL)                                                                   \
    X(LEASES, 1, "delta_leases", "Leases of sessions, for presence.")         \
    X(LEASES_GONE, 0, "delta_leases_lost_total{reason=\"gone\"}",             \
      "Leases that Redis did not have any more, or refused.")                 \
    X(LEASES_FAILED, 0, "delta_leases_lost_total{reason=\"refused\"}", NULL)  \
    X(REFRESHES, 0, "delta_lease_refreshes_total",                            \
      "Batches in which leases were refreshed.")                              \
    X(SWEPT, 0, "delta_leases_swept_total",                                   \
      "Users whose leases were looked at, as one may be due.")                \
    X(PRESENCE_READS, 0, "delta_presence_reads_total",                        \
      "Users whose presence was read.")                                       \
    X(HISTORY_HITS, 0, "delta_catchups_total{from=\"memory\"}",               \
      "Channels of sessions that came back, by where they were read.")        \
    X(HISTORY_READS, 0, "delta_catchups_total{from=\"redis\"}", NULL)         \
    X(MERGES, 0, "delta_merged_events_total",                                 \
      "Events that went into another one.")                                   \
    X(BEHIND, 0, "delta_fell_behind_total",                                   \
      "Sessions that were too slow for their events.")                        \
    X(REDIS_CONNECTS, 0, "delta_redis_connects_total",                        \
      "Links to Redis established.")                                          \
    X(REDIS_LOSSES, 0, "delta_redis_losses_total",                            \
      "Links to Redis lost or refused.")

typedef enum {
#define X(name, gauge, text, help)  NGX_HTTP_DELTA_METRIC_##name,
    NGX_HTTP_DELTA_METRICS(X)
#undef X
    NGX_HTTP_DELTA_NMETRICS
} ngx_http_delta_metric_e;


/* A slot; pid 0: nobody's.  The first slot gathers what dead workers left. */
struct ngx_http_delta_metrics_s {
    ngx_atomic_t  pid;
    ngx_atomic_t  values[NGX_HTTP_DELTA_NMETRICS];
};

#define NGX_HTTP_DELTA_SLOTS  128


/* Only this process writes its slot: no atomic operation is needed. */
#define ngx_http_delta_metric(worker, name, n)                                \
    ((worker)->metrics->values[NGX_HTTP_DELTA_METRIC_##name] += (n))

#define ngx_http_delta_metric_at(worker, index, n)                            \
    ((worker)->metrics->values[index] += (n))


/* Adds the zone; the same one is found again after a reload. */
ngx_shm_zone_t *ngx_http_delta_metrics_zone(ngx_conf_t *cf);

/* This process's slot, never NULL: private memory if all are taken. */
ngx_http_delta_metrics_t *ngx_http_delta_metrics_slot(ngx_shm_zone_t *zone,
    ngx_cycle_t *cycle);

/* Content handler of delta_metrics: Prometheus text format 0.0.4. */
ngx_int_t ngx_http_delta_metrics_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_METRICS_H_INCLUDED_ */
