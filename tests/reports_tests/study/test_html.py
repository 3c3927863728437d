import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable

import pytest
from helpers.html_page import Page

import reports.study.payload
from reports.document.html import asset
from reports.records.study import ObjectiveRecord, ReferencePoint, StudyRecord
from reports.study.report import SCRIPTS, page

Build = Callable[..., StudyRecord]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!--\u2028$title"
URL = re.compile(r"https?://[^\s\"'<>)]+")


def hostile(study: StudyRecord) -> StudyRecord:
    """The study with markup in every text that a person or an exception can put there."""
    texts = {"name": HOSTILE, "reason": HOSTILE, "traceback": HOSTILE, "device": HOSTILE, "params": {HOSTILE: HOSTILE}}
    trials = tuple(
        t.model_copy(
            update=texts
            | {"modules": tuple(m.model_copy(update={"name": HOSTILE, "detail": HOSTILE}) for m in t.modules)}
            | {"layers": tuple(layer.model_copy(update={"name": HOSTILE}) for layer in t.layers)}
        )
        for t in study.trials
    )
    point = ReferencePoint(label=HOSTILE, accuracy=0.5, energy_mj=0.01, params=10, source=HOSTILE)
    header = study.header.model_copy(
        update=dict.fromkeys(("name", "space_yaml", "data", "training", "machine", "sampler", "commit"), HOSTILE)
        | {"references": (point,), "candidates": (HOSTILE,), "versions": {HOSTILE: HOSTILE}}
    )
    return StudyRecord(header=header, trials=trials)


def test_the_page_requests_nothing_from_the_network(make_study: Build) -> None:
    text = page(make_study(10))
    parsed = Page(text)
    assert not {"img", "iframe", "object", "embed", "audio", "video", "source"} & {tag for tag, _ in parsed.elements}
    assert [link["href"] for link in parsed.of("link")] == ["data:,"]
    assert all("src" not in script for script in parsed.of("script"))
    assert all((a["href"] or "").startswith("#") for a in parsed.of("a"))
    assert "url(" not in text
    assert "@import" not in text
    assert {u for u in URL.findall(text) if u != "http://www.w3.org/2000/svg"} == set()


def test_the_security_policy_allows_only_this_script(make_study: Build) -> None:
    parsed = Page(page(make_study(2)))
    (policy,) = [m["content"] for m in parsed.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(parsed.raw["script"][1].encode()).digest()).decode()
    assert policy is not None
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_markup_in_a_name_stays_text(make_study: Build) -> None:
    parsed = Page(page(hostile(make_study(4))))
    assert len(parsed.of("script")) == 2
    assert parsed.of("img") == []
    assert HOSTILE.replace("\u2028", "") in parsed.text.replace("\u2028", "")
    assert {t["name"] for t in parsed.data["trials"]} == {HOSTILE}
    assert all(not name.startswith("on") for _, attributes in parsed.elements for name in attributes)


def test_the_data_contains_every_finished_candidate_and_its_figures(make_study: Build) -> None:
    study = make_study(15)
    data = Page(page(study)).data
    complete = {t.number: t for t in study.trials if t.status == "complete"}
    assert {t["number"] for t in data["trials"]} == set(complete)
    for drawn in data["trials"]:
        trial = complete[drawn["number"]]
        assert trial.metrics is not None
        assert drawn["test"] == trial.metrics.test_accuracy
        assert drawn["energy"] == {p: pytest.approx(e, rel=1e-4) for p, e in trial.metrics.energy_mj.items()}
        assert [layer[0] for layer in drawn["layers"]] == [layer.name for layer in trial.layers]
        width = 9 + len(data["energy_models"])
        assert {len(layer) for layer in drawn["layers"]} == {width}


def test_a_large_study_has_the_details_of_named_candidates_and_the_best_by_rank(
    make_study: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports.study.payload, "MAX_DETAILED", 6)
    trials = Page(page(make_study(15))).data["trials"]
    kept, left = ([t for t in trials if ("layers" in t) is there] for there in (True, False))
    assert len(kept) == 6
    assert left
    unnamed = [t["rank"] for t in kept if t["name"] is None]
    assert all(t["name"] is None and t["rank"] >= max(unnamed, default=0) for t in left)
    assert all(t["show"] for t in left)


def test_the_selected_candidate_is_on_the_front(make_study: Build) -> None:
    data = Page(page(make_study(15))).data
    assert {t["number"]: t["rank"] for t in data["trials"]}[data["selected"]] == 0


def test_reasons_and_tracebacks_of_trials_without_a_result_are_shown(make_study: Build) -> None:
    study = make_study(2)
    text = Page(page(study)).text
    for trial in study.trials:
        assert (trial.reason or "") in text
        assert (trial.traceback or "") in text


@pytest.mark.parametrize("complete", [0, 1, 6])
@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize(
    "names", [("accuracy",), ("params", "accuracy"), ("accuracy", "energy_mj", "params", "timesteps")]
)
def test_every_shape_of_study_gives_a_page(
    make_study: Build, complete: int, others: bool, names: tuple[str, ...]
) -> None:
    records = tuple(ObjectiveRecord(name=n, direction="maximize" if n == "accuracy" else "minimize") for n in names)
    study = make_study(complete, others=others, objectives=records)
    trials = tuple(
        t.model_copy(update={"values": t.values | {"timesteps": 2.0}}) if t.metrics else t for t in study.trials
    )
    parsed = Page(page(study.model_copy(update={"trials": trials})))
    assert len(parsed.data["trials"]) == complete
    assert ("No trial is complete yet" in parsed.text) == (complete == 0)
    assert "nan" not in parsed.raw["script"][0].lower()


def test_two_hundred_trials_stay_well_under_five_megabytes(make_study: Build) -> None:
    assert len(page(make_study(200, epochs=60)).encode()) < 2_000_000


def test_the_page_can_be_used_without_a_mouse_and_in_the_dark(make_study: Build) -> None:
    text = page(make_study(3))
    parsed = Page(text)
    assert "prefers-color-scheme: dark" in text
    assert ":focus-visible" in text
    assert all(node.get("aria-label") for tag, node in parsed.elements if node.get("tabindex") == "0" and tag != "pre")


def test_no_name_is_declared_twice_in_the_page_s_scripts() -> None:
    """The scripts share one scope, so a second function with the same name would silently replace the first."""
    scripts = "".join(asset(name) for name in SCRIPTS)
    names = Counter(re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", scripts, re.MULTILINE))
    assert len(names) > 20
    assert [name for name, count in names.items() if count > 1] == []
