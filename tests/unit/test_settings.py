from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.settings import Settings, load_settings
from sentryfuse.errors import ConfigError


def test_the_defaults_are_those_of_the_design() -> None:
    assert load_settings().permilles == (0, 250, 500, 650, 800, 900)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_ratios_are_read_from_one_line_sorted_and_without_repetition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENTRYFUSE_RATIOS", "0.5, 0,0.5 0.9")
    assert load_settings().permilles == (0, 500, 900)


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYFUSE_PORT", "1234")
    assert load_settings().port == 1234
    assert load_settings(port=99).port == 99


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SENTRYFUSE_PORT", "http"),
        ("SENTRYFUSE_RATIOS", "0.5,1.0"),
        ("SENTRYFUSE_RATIOS", ""),
        ("SENTRYFUSE_RATIOS", "half"),
        ("SENTRYFUSE_LOG_LEVEL", "loud"),
        ("SENTRYFUSE_MAX_BATCH", "0"),
        ("SENTRYFUSE_POWER_CAP_W", "-5"),
    ],
)
def test_a_bad_setting_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=variable):
        load_settings()


def test_a_cap_below_the_idle_power_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"power_cap_w \(2\) must be above idle_power_w \(3\)"):
        load_settings(power_cap_w=2, idle_power_w=3)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings().port = 1  # type: ignore[misc]


def test_secrets_are_not_shown() -> None:
    settings = load_settings(redis_url="redis://:hunter2@here")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(("cores", "threads", "workers"), [(4, 1, 4), (4, 2, 2), (2, 4, 1)])
def test_workers_times_threads_is_the_cores(cores: int, threads: int, workers: int) -> None:
    assert load_settings(cores=cores, threads=threads).workers == workers


SITE = {
    "site_cap_w": 30,
    "site_share_w": 6,
    "site_guaranteed_w": 18,
    "redis_url": "redis://localhost",
}


def test_a_site_is_told_in_four_settings_together() -> None:
    assert load_settings(**SITE).site_share_w == 6
    for missing in SITE:
        with pytest.raises(ConfigError, match="come together"):
            load_settings(**{**SITE, missing: None})


@pytest.mark.parametrize(
    "wrong", [{"site_share_w": 3}, {"site_share_w": 19}, {"site_guaranteed_w": 31}]
)
def test_a_share_is_above_idle_power_and_all_of_them_below_the_cap(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"idle_power_w < site_share_w <= .* must hold, got 3"):
        load_settings(**{**SITE, **wrong})


def test_only_the_variables_of_the_service_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("SENTRYFUSE_NO_SUCH", "1")
    assert load_settings() == load_settings(port=8080)
