from pathlib import Path

import pytest

from services.settings import SettingError, Settings, environment, example, load

ROOT = Path(__file__).parents[1]


def test_the_example_lists_every_setting_with_its_default() -> None:
    assert (ROOT / ".env.example").read_text() == example()


def test_nothing_set_gives_the_defaults() -> None:
    assert load({}) == Settings()


def test_what_a_parent_hands_down_is_what_the_child_reads() -> None:
    given = Settings(kafka="k:1", partitions=3, linger_ms=7, log_level="WARNING", state_dir=Path("/x"))

    assert load(environment(given)) == given


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UPTAKE_API_PORT", "eighty"),
        ("UPTAKE_PARTITIONS", "0"),
        ("UPTAKE_REGISTRY_SECONDS", "-1"),
        ("UPTAKE_LOG_LEVEL", "LOUD"),
    ],
    ids=["a word is no port", "no partitions", "a negative time", "an unknown level"],
)
def test_a_bad_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=name):
        load({name: text})
