"""What gRPC itself bounds, for every connection and message."""

LARGEST_MESSAGE = 256 * 1024
LARGEST_METADATA = 16 * 1024
STREAMS_A_CONNECTION = 100  # what is over it waits at the client
PENDING_CALLS = 1_000  # as many as may come at once
MOST_PENDING_CALLS = 1_200  # or they would wait for a second, and most come too late

HANDSHAKE_MS = 10_000  # who connects and says nothing holds a socket no longer
IDLE_MS = 15 * 60_000  # clients connect again by themselves
AGE_MS = 30 * 60_000  # so that calls spread over servers that came later, and revoked certificates are shown again
GRACE_MS = 5 * 60_000  # for calls in flight then; a watcher goes on after its last event
PING_MS = 10_000  # a client may ping that often, calls or none
PINGS_TOO_OFTEN = 2  # then the connection is closed
OUR_PING_MS = 60_000  # a watcher that went without a word gives its place back long before its connection's age ends
PONG_MS = 20_000

OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # Between a soft and a hard limit metadata is refused at random.
    ("grpc.max_metadata_size", LARGEST_METADATA),
    ("grpc.absolute_max_metadata_size", LARGEST_METADATA),
    ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION),
    # Of calls that Python has not taken yet: over the first some are refused, over the second all, as CANCELLED.
    ("grpc.server.max_pending_requests", PENDING_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MOST_PENDING_CALLS),
    ("grpc.http.overload_protection", 0),  # or it refuses what is over that, as UNAVAILABLE, instead of letting it wait
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ("grpc.max_connection_idle_ms", IDLE_MS),
    ("grpc.max_connection_age_ms", AGE_MS),
    ("grpc.max_connection_age_grace_ms", GRACE_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", PING_MS),
    ("grpc.http2.max_ping_strikes", PINGS_TOO_OFTEN),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", OUR_PING_MS),
    ("grpc.keepalive_timeout_ms", PONG_MS),
)
