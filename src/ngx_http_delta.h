
/*
 * Copyright (C) Delta contributors
 *
 * The private umbrella: every type of the module.  Levels, lowest first:
 * core (L0); metrics, link, redis and event (L1); channel (L2); auth and queue
 * (L3); session, membership and command (L4); sse and ws (L5); handler (L6);
 * module (L7).  A file calls down and sideways by name; up it calls only
 * through the function pointers that are set once at start.
 */

#ifndef _NGX_HTTP_DELTA_H_INCLUDED_
#define _NGX_HTTP_DELTA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "core/delta.h"
#include "core/delta_clock.h"
#include "core/delta_cursor.h"
#include "core/delta_envelope.h"
#include "core/delta_jwt.h"


typedef struct ngx_http_delta_worker_s   ngx_http_delta_worker_t;
typedef struct ngx_http_delta_hub_s      ngx_http_delta_hub_t;
typedef struct ngx_http_delta_link_s     ngx_http_delta_link_t;
typedef struct ngx_http_delta_channel_s  ngx_http_delta_channel_t;
typedef struct ngx_http_delta_event_s    ngx_http_delta_event_t;
typedef struct ngx_http_delta_session_s  ngx_http_delta_session_t;
typedef struct ngx_http_delta_load_s     ngx_http_delta_load_t;
typedef struct ngx_http_delta_repair_s   ngx_http_delta_repair_t;
typedef struct ngx_http_delta_history_s  ngx_http_delta_history_t;
typedef struct ngx_http_delta_window_s   ngx_http_delta_window_t;
typedef struct ngx_http_delta_replay_s   ngx_http_delta_replay_t;
typedef struct ngx_http_delta_reading_s  ngx_http_delta_reading_t;
typedef struct ngx_http_delta_resume_s   ngx_http_delta_resume_t;
typedef struct ngx_http_delta_sets_s     ngx_http_delta_sets_t;
typedef struct ngx_http_delta_stream_s   ngx_http_delta_stream_t;
typedef struct ngx_http_delta_answer_s   ngx_http_delta_answer_t;
typedef struct ngx_http_delta_metrics_s  ngx_http_delta_metrics_t;
typedef struct ngx_http_delta_contract_s  ngx_http_delta_contract_t;
typedef struct ngx_http_delta_state_s    ngx_http_delta_state_t;
typedef struct ngx_http_delta_lease_s    ngx_http_delta_lease_t;

struct redisReply;
struct redisReader;
struct redisReplyObjectFunctions;


/* Configuration: written while nginx.conf is read, never afterwards. */

#define NGX_HTTP_DELTA_MAX_RULES  32
#define NGX_HTTP_DELTA_REPLAY     256       /* default of replay= */
#define NGX_HTTP_DELTA_RESUME   60000     /* ms a session can be resumed */
#define NGX_HTTP_DELTA_OVERLAP  2000        /* ms read again before a time */
#define NGX_HTTP_DELTA_SPREAD   5000        /* ms, of those told to refetch */
#define NGX_HTTP_DELTA_KEEP          3600000    /* of keep=, ms */
#define NGX_HTTP_DELTA_KEEP_CONTROL  300000     /* as in delta.lua */

/* One delta_redis. */
typedef struct {
    ngx_str_t                    name;      /* for logs: no password in it */
    ngx_addr_t                  *addrs;
    ngx_uint_t                   naddrs;
    ngx_str_t                    host;      /* to resolve again, or empty */
    in_port_t                    port;
    ngx_http_core_loc_conf_t    *core;      /* of its level: the resolver */
    ngx_str_t                    user;
    ngx_str_t                    password;
    ngx_str_t                    db;        /* decimal, empty: none */
    ngx_str_t                    prefix;    /* of every channel, may be empty */
    ngx_msec_t                   connect_timeout;
    ngx_msec_t                   read_timeout;
    ngx_msec_t                   presence;  /* least refresh=, 0: none */
    ngx_uint_t                   index;     /* of the worker's hub */
} ngx_http_delta_redis_conf_t;

/* One delta_channel. */
typedef struct {
    ngx_str_t                    pattern;
    ngx_msec_t                   keep;      /* ms in the log */
    ngx_uint_t                   replay;    /* events at most, else resync */
    ngx_msec_t                   window;    /* ms, 0: none */
    ngx_uint_t                   max;       /* events in a window */
} ngx_http_delta_channel_conf_t;

/* One delta_jwt_key_file; what a worker has read of it is in the worker. */
typedef struct {
    ngx_str_t                    path;
    delta_jwt_keys_t            *keys;
    int64_t                      changed;   /* ns, of any of its attributes */
    off_t                        size;
    ngx_file_uniq_t              uniq;
    ngx_uint_t                   index;
} ngx_http_delta_key_file_t;

/* A channel or key name: each segment evaluated and checked by itself. */
typedef struct {
    ngx_str_t                    text;      /* as written */
    ngx_array_t                  segments;  /* ngx_http_complex_value_t */
    unsigned                     variable:1;
    unsigned                     client:1;  /* a client writes a variable */
} ngx_http_delta_name_t;

/* One delta_subscribe. */
typedef struct {
    ngx_http_delta_name_t        channel;   /* a pattern where from is given */
    ngx_http_delta_name_t        from;      /* set of what "*" stands for */
    ngx_http_delta_name_t        in;        /* set that must hold its id */
    ngx_str_t                    member;    /* of delta_membership's answer;
                                               empty: not the user's own set */
    unsigned                     on_request:1;
} ngx_http_delta_rule_t;

/* One delta_membership. */
typedef struct {
    ngx_str_t                    uri;
    ngx_str_t                    args;
    ngx_uint_t                   max;       /* questions at once */
    time_t                       ttl;       /* seconds, at least */
    ngx_uint_t                   index;     /* of the worker's count */
} ngx_http_delta_sets_conf_t;

typedef struct {
    ngx_array_t                  redis;     /* ngx_http_delta_redis_conf_t * */
    ngx_array_t                  channels;  /* ngx_http_delta_channel_conf_t */
    ngx_array_t                  key_files; /* ngx_http_delta_key_file_t * */
    ngx_str_t                    library;   /* the Redis functions' text */
    size_t                       max_event;
    ngx_http_delta_contract_t   *contract;  /* delta_contracts, or NULL */
    ngx_shm_zone_t              *zone;      /* of the metrics */
    ngx_uint_t                   gateways;  /* and others in need of Redis */
    size_t                       max_command;   /* greatest of all */
    ngx_msec_t                   goodbye;   /* longest of all gateways */
    ngx_uint_t                   claims;    /* some $delta_claim_ is used */
    ngx_uint_t                   nadmissions;   /* delta_limit admit= */
    ngx_uint_t                   nsets;     /* delta_membership */
    time_t                       sets_every;    /* seconds, of keeping them */

    ngx_http_delta_worker_t     *worker;    /* set by init process */
} ngx_http_delta_main_conf_t;

#define NGX_HTTP_DELTA_WS   0x01
#define NGX_HTTP_DELTA_SSE  0x02

#define NGX_HTTP_DELTA_JWT_OFF       0
#define NGX_HTTP_DELTA_JWT_OPTIONAL  1
#define NGX_HTTP_DELTA_JWT_REQUIRED  2

/* One delta_snapshot. */
typedef struct {
    ngx_http_complex_value_t     name;
    ngx_uint_t                   max;       /* ticks at once */
    unsigned                     range:1;
    unsigned                     full:1;    /* with what is hidden */
} ngx_http_delta_world_conf_t;

typedef struct {
    ngx_http_delta_redis_conf_t *redis;

    ngx_uint_t                   gateway;   /* transports, 0: not a gateway */
    ngx_uint_t                   metrics;   /* delta_metrics */
    ngx_uint_t                   publish;   /* delta_publish */
    ngx_msec_t                   health;    /* delta_health, its deadline */
    ngx_http_delta_world_conf_t *world;     /* delta_snapshot */
    ngx_str_t                    place;     /* file:line of either */
    ngx_array_t                 *rules;     /* ngx_http_delta_rule_t */
    ngx_http_delta_sets_conf_t  *sets;      /* NULL: none is read through */
    ngx_array_t                 *origins;   /* ngx_str_t; NULL: same origin */
    ngx_uint_t                   envelope;  /* delta_envelope_t */
    ngx_http_complex_value_t    *backfill;

    ngx_uint_t                   jwt;
    ngx_http_complex_value_t    *jwt_token;
    ngx_str_t                    jwt_audience;
    ngx_str_t                    jwt_issuer;
    time_t                       jwt_leeway;
    time_t                       jwt_grace;
    ngx_str_t                    jwt_place; /* file:line */
    ngx_http_delta_key_file_t   *key_file;
    ngx_http_complex_value_t    *user;

    time_t                       heartbeat; /* seconds, 0: off */
    ngx_uint_t                   missed;
    time_t                       drain;     /* seconds */
    ngx_msec_t                   presence_ttl;      /* 0: off */
    ngx_msec_t                   presence_lease;    /* see its check */
    ngx_msec_t                   presence_refresh;
    ngx_msec_t                   resume_window;
    ngx_msec_t                   resume_overlap;
    ngx_msec_t                   resume_spread;
    size_t                       queue_bytes;
    ngx_uint_t                   queue_events;
    time_t                       queue_age;
    size_t                       max_command;
    ngx_uint_t                   limit_connections;
    ngx_uint_t                   limit_channels;
    ngx_uint_t                   limit_rate; /* commands per minute */
    ngx_uint_t                   limit_admit;   /* sessions a second, 0: off */
    ngx_uint_t                   limit_spread;  /* seconds */
    ngx_uint_t                   admission; /* index of the worker's bucket */
} ngx_http_delta_loc_conf_t;


/* Redis: two links per hub. */

typedef void (*ngx_http_delta_reply_pt)(void *data, struct redisReply *reply);

typedef struct {
    ngx_queue_t                  queue;
    ngx_http_delta_reply_pt      handler;   /* reply NULL: the link was lost */
    void                        *data;
} ngx_http_delta_call_t;

/* Troubles are logged once a minute while they last. */
typedef enum {
    NGX_HTTP_DELTA_UNRESOLVED = 0,
    NGX_HTTP_DELTA_UNREACHED,
    NGX_HTTP_DELTA_REFUSED,
    NGX_HTTP_DELTA_TROUBLES
} ngx_http_delta_trouble_e;

typedef struct {
    ngx_msec_t                   logged;    /* when, 0: never */
    uint32_t                     key;       /* what exactly */
} ngx_http_delta_trouble_t;

struct ngx_http_delta_link_s {
    ngx_http_delta_hub_t        *hub;
    ngx_peer_connection_t        peer;
    ngx_addr_t                   addr;      /* of the peer: is it, or was */
    ngx_sockaddr_t               sockaddr;
    u_char                       addr_buf[NGX_SOCKADDR_STRLEN];
    ngx_str_t                    whom;      /* name and address, for logs */
    u_char                       whom_buf[320];
    ngx_log_t                    log;       /* of the socket: alerts only */
    ngx_resolver_ctx_t          *resolving;
    struct redisReader          *reader;
    struct redisReplyObjectFunctions  *functions;   /* of the reader */

    u_char                      *out;       /* unsent bytes: pos .. last */
    size_t                       out_pos;
    size_t                       out_last;
    size_t                       out_size;

    ngx_queue_t                  calls;     /* sent, no reply yet */
    size_t                       unread;    /* bytes fed since a reply */
    ngx_event_t                  timer;     /* reconnect, or ping */
    ngx_event_t                  flush;
    ngx_msec_t                   heard;     /* when bytes last came */
    ngx_uint_t                   address;   /* next of the conf's addrs */
    ngx_uint_t                   attempts;

    /* up: set once at start */
    void                       (*opened)(ngx_http_delta_link_t *link);
    ngx_int_t                  (*reply)(ngx_http_delta_link_t *link,
                                     struct redisReply *reply);
    void                       (*quiet)(ngx_http_delta_link_t *link);
    void                       (*lost)(ngx_http_delta_link_t *link,
                                     ngx_uint_t was_ready);

    unsigned                     pubsub:1;
    unsigned                     connecting:1;
    unsigned                     ready:1;   /* has been greeted */
    unsigned                     was_ready:1;   /* until it is dialled again */
};

struct ngx_http_delta_hub_s {
    ngx_http_delta_worker_t     *worker;
    ngx_http_delta_redis_conf_t *conf;
    ngx_http_delta_link_t        pubsub;
    ngx_http_delta_link_t        command;
    ngx_http_delta_trouble_t     troubles[NGX_HTTP_DELTA_TROUBLES];

    ngx_rbtree_t                 channels;  /* ngx_http_delta_channel_t */
    ngx_rbtree_node_t            sentinel;
    ngx_queue_t                  lingering; /* channels without members */
    ngx_queue_t                  sessions;
    ngx_queue_t                  keeping;   /* those with sets to keep */

    ngx_event_t                  tick;      /* FCALL delta_tick */
    ngx_str_t                    tick_name; /* the channel it comes back on */
    u_char                       tick_buf[32];
    uint64_t                     asked;     /* own ms, 0: it is not */
    uint64_t                     ticked;    /* own ms of the last one */
    uint64_t                     lag;       /* ms of the last canary */
    delta_clock_t                clock;     /* Redis's against our own */
    ngx_uint_t                   steps;     /* back, seen so far */
    uint64_t                     stepped;   /* the epoch that is to end */
    uint64_t                     heard_at;  /* Redis's ms of the last one */
    uint64_t                     safe;      /* and with nothing broken */
    uint64_t                     epoch;     /* of the cursors, 0: unknown */
    ngx_uint_t                   nbroken;   /* channels */
    ngx_uint_t                   nchannels;
    ngx_rbtree_key_t             audited;   /* the next of them */
    ngx_queue_t                  windows;   /* that hold events, oldest first */
    ngx_queue_t                  leases;    /* next to be refreshed first */
    ngx_queue_t                  leaving;   /* of sessions that are over */
    ngx_event_t                  lease_timer;
    ngx_uint_t                   lease_last;    /* ticks since we exit */
    ngx_msec_t                   sweep;     /* not before */
    ngx_uint_t                   sweeping;
    uint64_t                     lost;      /* heard_at when it was lost */
    ngx_msec_t                   started;   /* when it first came up */
    u_char                       run_id[40];
    u_char                       repl_id[40];

    /* up: set once at start */
    void                       (*link_up)(ngx_http_delta_hub_t *hub);
    void                       (*link_down)(ngx_http_delta_hub_t *hub);
    void                       (*subscribed)(ngx_http_delta_hub_t *hub,
                                     ngx_str_t *name);
    void                       (*message)(ngx_http_delta_hub_t *hub,
                                     ngx_str_t *name, ngx_str_t *payload);
    void                       (*control)(ngx_http_delta_channel_t *channel,
                                     delta_event_t *event);
    void                       (*acked)(ngx_http_delta_session_t *s,
                                     ngx_http_delta_channel_t *channel);
    void                       (*deliver)(ngx_http_delta_session_t *s,
                                     ngx_uint_t sub,
                                     ngx_http_delta_event_t *event);
    void                       (*unproven)(ngx_http_delta_channel_t *channel);
    void                       (*named)(ngx_http_delta_hub_t *hub);
    void                       (*stated)(ngx_http_delta_channel_t *channel);

    unsigned                     canary:1;  /* has come since link up */
    unsigned                     known_run:1;
    unsigned                     aof:1;
    unsigned                     young:1;   /* Redis started after our loss */
    unsigned                     looked:1;  /* which one it is, since then */
    unsigned                     forgetful:1;   /* absence proves nothing */
    unsigned                     compared:1;    /* keep= with the library */
};


/* Channels and events. */

typedef struct {
    ngx_http_delta_session_t    *session;
    ngx_uint_t                   index;     /* in the session's subs */
} ngx_http_delta_member_t;

typedef struct {
    ngx_http_delta_channel_t    *channel;
    ngx_uint_t                   index;     /* in the channel's members */
    unsigned                     rule:8;    /* that allows it */
    unsigned                     requested:1;
    unsigned                     listed:1;  /* seen by the running load */
    unsigned                     behind:1;  /* gets its events by a replay */
    unsigned                     synced:1;  /* presence: was told of it */
} ngx_http_delta_sub_t;

struct ngx_http_delta_channel_s {
    ngx_str_node_t               sn;        /* Redis's name, with prefix */
    ngx_http_delta_hub_t        *hub;
    ngx_str_t                    name;      /* the clients' name */

    ngx_http_delta_member_t     *members;
    ngx_uint_t                   nmembers;
    ngx_uint_t                   size;

    ngx_queue_t                  linger;
    ngx_msec_t                   idle;      /* since when without members */

    delta_position_t             last;      /* event delivered, if known */
    uint64_t                     since;     /* broken: Redis's ms before */
    uint64_t                     acked;     /* Redis's ms then at most, or 0 */
    ngx_uint_t                   replay;    /* of delta_channel */
    ngx_msec_t                   keep;
    ngx_msec_t                   wait;      /* of window= */
    ngx_uint_t                   max;       /* events in a window */
    ngx_http_delta_repair_t     *repair;    /* the log is being read */
    ngx_http_delta_history_t    *history;   /* newest events, or NULL */
    ngx_http_delta_window_t     *window;    /* open, or NULL */
    ngx_http_delta_state_t      *state;     /* of presence, or NULL */

    unsigned                     sent:1;    /* SUBSCRIBE is on its way */
    unsigned                     active:1;  /* and acknowledged */
    unsigned                     control:1;
    unsigned                     known:1;
    unsigned                     broken:1;  /* may have missed something */
};

/* What one format of an event looks like on the wire. */
typedef struct ngx_http_delta_frame_s  ngx_http_delta_frame_t;

struct ngx_http_delta_frame_s {
    ngx_http_delta_frame_t      *next;
    ngx_uint_t                   format;
    size_t                       len;
    u_char                       data[1];
};

/* Counted references: one per place that holds it. */
struct ngx_http_delta_event_s {
    ngx_uint_t                   refs;
    ngx_http_delta_channel_t    *channel;   /* NULL: made for one session;
                                               followed by who knows it lives */
    delta_position_t             position;  /* of its newest part; 0-0: in no
                                               log */
    delta_position_t             before;    /* the channel's place before it */
    ngx_http_delta_frame_t      *frames;
    delta_event_t                content;   /* its own copy */
    unsigned                     exact:1;   /* before is another event's */
    unsigned                     partial:1; /* not all up to position went out
                                               before: says no id */
    unsigned                     claims:1;  /* tells a cursor */
    unsigned                     resync:1;
};


/* Sessions. */

typedef struct {
    ngx_uint_t                   transport;
    void                       (*open)(ngx_http_delta_session_t *s);
    void                       (*write)(ngx_http_delta_session_t *s);
    void                       (*close)(ngx_http_delta_session_t *s);
    void                       (*ping)(ngx_http_delta_session_t *s);
} ngx_http_delta_transport_t;

typedef struct {
    ngx_http_delta_event_t      *event;
    ngx_msec_t                   since;
} ngx_http_delta_entry_t;

/* A ring that exists only while something is in it. */
typedef struct {
    ngx_http_delta_entry_t      *entries;
    uint32_t                     size;      /* a power of two, or 0 */
    uint32_t                     head;
    uint32_t                     count;
    size_t                       bytes;
} ngx_http_delta_ring_t;

typedef enum {
    NGX_HTTP_DELTA_DETACHED = 0,    /* Redis is away */
    NGX_HTTP_DELTA_CONTROL,         /* waits for its control channel */
    NGX_HTTP_DELTA_LOADING,         /* reads its membership */
    NGX_HTTP_DELTA_SUBSCRIBING,     /* waits for its channels */
    NGX_HTTP_DELTA_REPLAYING,       /* gets what it missed */
    NGX_HTTP_DELTA_BEHIND,          /* too slow: gets the rest when it can */
    NGX_HTTP_DELTA_LIVE,
    NGX_HTTP_DELTA_CLOSING          /* says goodbye, or is gone */
} ngx_http_delta_state_e;

/* The rule as it is for this session: evaluated at connect. */
typedef struct {
    ngx_str_t                    channel;   /* name or pattern */
    ngx_str_t                    from;
    ngx_str_t                    in;
    unsigned                     on_request:1;
    unsigned                     own:1;     /* the set is read through */
} ngx_http_delta_grant_t;

struct ngx_http_delta_session_s {
    ngx_pool_t                  *pool;
    ngx_connection_t            *connection;
    ngx_http_request_t          *request;
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_loc_conf_t   *conf;
    const ngx_http_delta_transport_t  *transport;
    ngx_uint_t                   format;    /* ngx_http_delta_format() */

    ngx_queue_t                  queue;     /* of the hub */
    ngx_queue_t                  dirty;     /* of the worker's flush */
    ngx_queue_t                  wheel;     /* of the worker's wheel */
    time_t                       deadline;  /* next look, in seconds */
    time_t                       leaves;    /* the worker exits: its turn */
    time_t                       rereads;   /* the sets are lost: its turn */
    ngx_queue_t                  keeping;   /* of the hub */
    time_t                       kept;      /* its sets, last time; or 0 */

    ngx_str_t                    user;
    ngx_str_t                    id;
    time_t                       expires;   /* of the token, 0: never */

    ngx_http_delta_grant_t      *grants;
    ngx_uint_t                   ngrants;
    ngx_http_delta_sub_t        *subs;
    ngx_uint_t                   nsubs;
    ngx_uint_t                   size;
    ngx_uint_t                   unacked;   /* subs without an ack */
    ngx_queue_t                  loads;     /* ngx_http_delta_load_t */
    ngx_http_delta_resume_t     *resume;    /* until it is live */
    ngx_http_delta_stream_t     *stream;    /* of delta_envelope space */
    ngx_queue_t                  replays;   /* ngx_http_delta_replay_t */
    ngx_uint_t                   pending;   /* of them */
    ngx_http_delta_lease_t      *lease;     /* or NULL */
    uint64_t                     cursor;    /* ms; holds while not live */
    uint64_t                     told;      /* sse: the last one, in ms */
    time_t                       fell;      /* behind, last time */
    time_t                       attaching; /* since then not live */

    ngx_http_delta_ring_t        out;       /* to the socket */
    ngx_http_delta_ring_t        parked;    /* until the session is live */
    size_t                       head_sent; /* bytes of out's first entry */
    ngx_uint_t                   inflight;  /* entries that must stay */

    time_t                       heard;     /* last byte of the client */
    time_t                       pinged;
    time_t                       blocked;   /* socket full since, or 0 */
    ngx_uint_t                   tokens;    /* of the rate, 1/60ths */
    time_t                       refilled;

    ngx_uint_t                   events_sent;
    ngx_uint_t                   close_code;
    ngx_str_t                    close_reason;

    ngx_chain_t                 *free;      /* sse: buffers at rest */
    ngx_chain_t                 *busy;
    u_char                      *rest;      /* ws: an unfinished frame */

    ngx_http_delta_state_e       state;
    unsigned                     welcomed:1;    /* ready was sent */
    unsigned                     named:1;       /* subscribe= was asked */
    unsigned                     resynced:1;
    unsigned                     again:1;   /* some may be known: see replay */
    unsigned                     news:2;    /* sse: cursors still to send */
    unsigned                     queued:1;  /* in the worker's flush */
    unsigned                     close_sent:1;
    unsigned                     close_received:1;
    unsigned                     control:1; /* has its control channel */
    unsigned                     unsynced:1;    /* some presence is owed */
    unsigned                     final:1;   /* nobody comes back to it */
    unsigned                     ended:1;
};


/* Per request. */

typedef struct {
    ngx_http_delta_loc_conf_t   *conf;      /* by which the next five hold */
    ngx_str_t                    user;
    ngx_str_t                    token;
    delta_jwt_t                  jwt;
    int                          jwt_result;    /* 0: not looked at */
    ngx_str_t                    subject;       /* the token's sub */
    ngx_uint_t                   protocol;      /* of the handshake */

    ngx_http_delta_grant_t      *grants;
    ngx_uint_t                   ngrants;
    ngx_http_delta_resume_t     *resume;
    ngx_http_delta_stream_t     *stream;
    void                        *check;     /* Redis is being asked */
    ngx_http_delta_sets_t       *sets;      /* are being read through */
    ngx_http_delta_answer_t     *answer;    /* the application is asked */
    ngx_int_t                    status;    /* its outcome, 0: none yet */

    ngx_http_delta_session_t    *session;
    ngx_str_t                    session_id;
    ngx_uint_t                   transport;
    ngx_uint_t                   events_sent;
    ngx_uint_t                   close_code;

    unsigned                     settled:1; /* access phase is over */
    unsigned                     msgpack:1; /* the handshake agreed on it */
} ngx_http_delta_ctx_t;


/* Per worker. */

#define NGX_HTTP_DELTA_WHEEL    64          /* slots of a second */
#define NGX_HTTP_DELTA_SCRATCH  65536       /* bytes of the read buffer */
#define NGX_HTTP_DELTA_BUFS     64          /* frames per write */

typedef struct {
    delta_jwt_keys_t            *keys;
    int64_t                      changed;   /* ns, of any of its attributes */
    off_t                        size;
    ngx_file_uniq_t              uniq;
    time_t                       checked;
    unsigned                     owned:1;   /* read by this worker */
} ngx_http_delta_keys_t;

/* Of one delta_limit admit=: sessions that may come now, in thousandths. */
typedef struct {
    uint64_t                     tokens;
    ngx_msec_t                   refilled;
} ngx_http_delta_admission_t;

struct ngx_http_delta_worker_s {
    ngx_http_delta_main_conf_t  *conf;
    ngx_log_t                   *log;
    ngx_http_delta_hub_t        *hubs;
    ngx_uint_t                   nhubs;
    ngx_http_delta_keys_t       *keys;
    ngx_http_delta_metrics_t    *metrics;
    ngx_msec_t                  *complaints;    /* of dropped events */
    ngx_http_delta_admission_t  *admissions;
    ngx_uint_t                  *asking;    /* of each delta_membership */
    time_t                       keep_told; /* that sets cannot be kept */

    ngx_queue_t                  dirty;     /* sessions with work to do */
    ngx_queue_t                  histories; /* least recently used first */
    size_t                       remembered;    /* bytes in them */
    time_t                       resync_time;
    ngx_uint_t                   resyncs;   /* told in that second */
    ngx_event_t                  flush;
    ngx_queue_t                  wheel[NGX_HTTP_DELTA_WHEEL];
    time_t                       wheel_time;
    ngx_event_t                  tick;
    ngx_uint_t                   nsessions;
    ngx_uint_t                   draining;

    u_char                      *scratch;
    u_char                      *message;   /* a command being assembled */
    size_t                       message_size;
    ngx_buf_t                    bufs[NGX_HTTP_DELTA_BUFS];
    ngx_chain_t                  links[NGX_HTTP_DELTA_BUFS];
};


#define NGX_HTTP_DELTA_MSGPACK  0x80        /* beside the envelope */

#define ngx_http_delta_format(transport, envelope)                            \
    ((ngx_uint_t) (transport) << 8 | (ngx_uint_t) (envelope))


extern ngx_module_t  ngx_http_delta_module;


#endif /* _NGX_HTTP_DELTA_H_INCLUDED_ */
