"""Every setting of the service, read once from the environment and passed down."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from sentryfuse.energy import MeterName
from sentryfuse.errors import ConfigError
from sentryfuse.pruning import permille

ENV_PREFIX = "SENTRYFUSE_"
_LEAST_FINISH_S = 3.0


def _profile_dir() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "sentryfuse" / "profiles"


class Settings(BaseModel):
    """Settings of one service process; a field ``x`` is the variable ``SENTRYFUSE_X``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    models: Path = Field(
        Path("models"), description="Directory of bundles, laid out as NAME/VERSION/"
    )
    default_model: str = Field(
        "", description="Model behind /v1/infer; the first by name if not set"
    )
    load_models: tuple[str, ...] = Field(
        (), description="Models served from the start, separated by commas; all if not set"
    )
    serve_versions: int = Field(
        1, ge=1, description="How many of the newest versions of each model are served"
    )
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one")

    grpc_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="TCP port for gRPC, beside HTTP's; off if not set (sentryfuse[grpc])",
    )

    ratios: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.65, 0.8, 0.9),
        description="Pruning ratios served, separated by commas, each in [0, 1)",
    )
    warm_missing: int = Field(
        4, ge=0, description="Before ready, build for presences with up to so many sensors missing"
    )
    warm_ratio: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="Ratio built ahead where sensors are missing; the nearest served one is taken",
    )
    warm_all: bool = Field(
        False, description="Build every ratio of those presences ahead, not only that one"
    )
    max_variants: int = Field(
        96, ge=1, description="Variants kept in memory for each model; the least used goes first"
    )
    profiles: Path = Field(
        default_factory=_profile_dir,
        description="Directory that keeps measured host profiles; measured anew if not writable",
    )

    cores: int = Field(
        0, ge=0, description="Cores to use; 0 for all that the process is allowed to use"
    )
    threads: int = Field(1, ge=1, description="Threads of one inference")
    engine: Literal["cpu", "cuda"] = Field(
        "cpu", description="What variants run on: cpu, or cuda, which docs/tuning.md explains"
    )
    max_queue: int = Field(
        1024, ge=0, description="Requests that may wait for a core; more are shed with 429"
    )
    batch_windows: int = Field(
        16, ge=1, description="Most windows of several requests in one inference"
    )
    late_grace_s: float = Field(
        1.0,
        ge=0,
        description="How long a lenient request that missed its deadline waits for an idle core",
    )
    max_wait_s: float = Field(
        30.0, gt=0, description="Longest wait for a core; a request that waits longer is shed"
    )
    max_body_bytes: int = Field(
        4 * 2**20, ge=1024, description="Largest request body; a larger one is refused with 413"
    )
    max_batch: int = Field(32, ge=1, description="Most windows in one request")
    max_streams: int = Field(
        64, ge=0, description="Streams open at once; one more is refused with 429"
    )
    stream_message_bytes: int = Field(
        2**20, ge=1024, description="Largest message of a stream; a larger one closes it with 1009"
    )
    stream_backlog: int = Field(
        8, ge=2, description="Windows in flight of one stream; of more, the oldest is skipped"
    )
    stream_speed: float = Field(
        20.0, ge=1, description="Samples that a stream takes of a sensor, as a multiple of its rate"
    )
    stream_idle_s: float = Field(60.0, gt=0, description="A stream without samples is closed then")
    stream_send_s: float = Field(
        10.0, gt=0, description="A stream whose answers are not read for so long is closed"
    )
    processes: int = Field(
        1, ge=1, le=64, description="Processes that serve; each gets its share of the cores"
    )
    stuck_s: float = Field(
        30.0,
        gt=0,
        description="An inference or event loop that takes longer makes liveness fail",
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        description="After SIGTERM, keep serving for so long while readiness says no",
    )
    grace_s: float = Field(
        25.0,
        gt=0,
        description="The process has ended so long after SIGTERM, whatever is still under way",
    )

    redis_url: SecretStr | None = Field(
        None, description="Redis for masks shared between replicas, redis://HOST:PORT/DB"
    )
    redis_username: str | None = Field(
        None, description="User of Redis (ACL), if the URL does not name one"
    )
    redis_password_file: Path | None = Field(
        None, description="File with the password of Redis, read anew for every connection"
    )
    redis_ca_file: Path | None = Field(
        None, description="Certificates that sign Redis' (rediss://); the system's if not set"
    )
    redis_cert_file: Path | None = Field(
        None, description="Own certificate, for a Redis that asks for one"
    )
    redis_key_file: Path | None = Field(None, description="Its private key")
    redis_server_name: str | None = Field(
        None, description="Name that Redis' certificate bears; the URL's host if not set"
    )
    mask_memory_bytes: int = Field(
        8 * 2**20, ge=1, description="Memory for masks in this process, in front of Redis"
    )
    mask_ttl_s: int = Field(7 * 86400, ge=1, description="Life of a mask in Redis")

    power_cap_w: float | None = Field(
        None, gt=0, description="Power that the node must keep under; never conceded"
    )
    power_schedule: Path | None = Field(
        None, description="JSON file with a schedule of the power cap; see docs/power.md"
    )
    site_cap_w: float | None = Field(
        None,
        gt=0,
        description="Power that all nodes of the site together must keep under; needs Redis",
    )
    site_share_w: float | None = Field(
        None, gt=0, description="Of it, what this node may use whatever happens to the others"
    )
    site_guaranteed_w: float | None = Field(
        None, gt=0, description="Sum of the shares of all nodes that the site can have"
    )
    site_name: str = Field(
        "site", min_length=1, max_length=64, description="Name of the site, the same for its nodes"
    )
    site_node: str = Field(
        default_factory=gethostname,
        min_length=1,
        max_length=253,
        description="Name of this node among them; the host's if not set",
    )
    cpufreq: Literal["off", "on"] = Field(
        "off", description="Whether the processor's frequency follows the work"
    )
    meter: MeterName = Field(
        "auto", description="Energy meter, see `sentryfuse meter`; auto is the best there is"
    )
    meter_recording: Path | None = Field(
        None, description="CSV file time_s,joules that the replay meter plays"
    )
    sysfs_root: Path = Field(
        Path("/sys"), description="Where /sys is, if mounted elsewhere in a container"
    )
    watts_per_core: float = Field(
        5.0, gt=0, description="Active power of one busy core, for modelled energy"
    )
    idle_power_w: float = Field(
        3.0, ge=0, description="Power of the idle node, for modelled energy"
    )
    max_url_bytes: int = Field(
        4096, ge=256, description="Longest URL; a longer one is refused with 414"
    )
    max_headers: int = Field(100, ge=8, description="Most headers; more are refused with 431")
    max_header_bytes: int = Field(
        16_384, ge=1024, description="All headers together; larger ones are refused with 431"
    )
    max_connections: int = Field(
        2048, ge=1, description="Connections at once; another is refused with 503"
    )
    max_client_connections: int = Field(
        512, ge=0, description="Connections at once from one address; 0 for no limit of their own"
    )
    header_timeout_s: float = Field(
        10.0, gt=0, description="Time to send the headers, from the opening of a connection on"
    )
    body_timeout_s: float = Field(30.0, gt=0, description="Time to send the body; more is a 408")
    rate_limit_hz: float = Field(
        0.0, ge=0, description="Requests per second of one key, or else one address; 0 for no limit"
    )
    rate_burst: int = Field(
        10, ge=1, description="Requests at once, after a pause, where there is a rate limit"
    )
    trusted_proxies: int = Field(
        0, ge=0, description="Proxies of yours in front, whose X-Forwarded-For is believed"
    )

    api_keys_file: Path | None = Field(
        None,
        description="JSON file of API keys, see `sentryfuse keys`; without it nobody needs a key",
    )
    allow_open: bool = Field(
        False, description="Listen on an address that others can reach although nobody needs a key"
    )

    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="OpenTelemetry collector (OTLP over HTTP) that gets a trace of each request, "
        "http://HOST:4318",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log record written"
    )
    access_log: bool = Field(True, description="Write one log line for each request")

    @field_validator("ratios", "load_models", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @field_validator("ratios")
    @classmethod
    def _check_ratios(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        by_permille = {permille(ratio): ratio for ratio in value}
        if not by_permille:
            raise ValueError("at least one ratio is needed")
        return tuple(by_permille[p] for p in sorted(by_permille))

    @model_validator(mode="after")
    def _check_processes(self) -> Settings:
        if self.processes > 1 and self.grpc_port is not None:
            raise ValueError("grpc_port needs a single process: processes must be 1")
        return self

    @model_validator(mode="after")
    def _check_grace(self) -> Settings:
        if self.grace_s < self.drain_s + _LEAST_FINISH_S:
            raise ValueError(
                f"grace_s ({self.grace_s:g}) must be at least {_LEAST_FINISH_S:g} more than "
                f"drain_s ({self.drain_s:g})"
            )
        return self

    @model_validator(mode="after")
    def _check_cap(self) -> Settings:
        if self.power_cap_w is not None and self.power_schedule is not None:
            raise ValueError("power_cap_w and power_schedule exclude each other")
        if self.power_cap_w is not None and self.power_cap_w <= self.idle_power_w:
            raise ValueError(
                f"power_cap_w ({self.power_cap_w:g}) must be above "
                f"idle_power_w ({self.idle_power_w:g})"
            )
        return self

    @model_validator(mode="after")
    def _check_site(self) -> Settings:
        cap_w, share_w, guaranteed_w = self.site_cap_w, self.site_share_w, self.site_guaranteed_w
        if cap_w is share_w is guaranteed_w is None:
            return self
        if cap_w is None or share_w is None or guaranteed_w is None or self.redis_url is None:
            raise ValueError(
                "site_cap_w, site_share_w, site_guaranteed_w and redis_url come together"
            )
        if not self.idle_power_w < share_w <= guaranteed_w <= cap_w:
            raise ValueError(
                f"idle_power_w < site_share_w <= site_guaranteed_w <= site_cap_w must hold, got "
                f"{self.idle_power_w:g}, {share_w:g}, {guaranteed_w:g} and {cap_w:g}"
            )
        return self

    @model_validator(mode="after")
    def _check_door(self) -> Settings:
        if self.api_keys_file is None and not self.allow_open and not is_loopback(self.host):
            raise ValueError(
                f"{ENV_PREFIX}HOST is {self.host}, which others can reach, and there are no API "
                "keys. Make one, `sentryfuse keys new --name NAME --scope infer --file keys.json`, "
                f"and set {ENV_PREFIX}API_KEYS_FILE=keys.json; or, if something else keeps "
                f"strangers out, set {ENV_PREFIX}ALLOW_OPEN=true"
            )
        return self

    @property
    def permilles(self) -> tuple[int, ...]:
        """The ratios in thousandths, ascending."""
        return tuple(permille(ratio) for ratio in self.ratios)

    @property
    def workers(self) -> int:
        """Inferences that run at once."""
        cores = self.cores or len(os.sched_getaffinity(0))
        return max(1, cores // self.threads)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; keyword arguments win over it.

    Raises:
        ConfigError: A setting makes no sense; the message names its variable.
    """
    environment = {
        name: value
        for name in Settings.model_fields
        if (value := os.environ.get(ENV_PREFIX + name.upper())) is not None
    }
    try:
        return Settings(**environment | overrides)
    except ValidationError as error:
        first = error.errors()[0]
        what = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ConfigError(what) from error
        variable = ENV_PREFIX + str(first["loc"][0]).upper()
        raise ConfigError(f"{variable}: {what}, got {first['input']!r}"[:400]) from error
