"""The verdicts of a task, judged by the profile that its order pins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from winnow.audit.finding import Finding
from winnow.audit.judgement import judged_findings, passes_under
from winnow.audit.profiles import Profiles, label_of
from winnow.audit.verdicts import verdict_findings
from winnow.contracts.events import CandidatesScored, TaskSelected
from winnow.contracts.values import ProfileRef

_CHECK: Final = "profile"
_SHOWN: Final = 12
"""Characters of a sha256 in a sentence."""


class ProfileUse(NamedTuple):
    """The profile that a verdict names."""

    ref: ProfileRef
    sha256: str

    @property
    def label(self) -> str:
        """Return name, version and the beginning of the hash."""
        return f"{label_of(self.ref)} with sha256 {self.sha256[:_SHOWN]}"


@dataclass(slots=True)
class Verdicts:
    """The verdicts of a task as its record gives them. ``passed`` holds the rank score of every passed candidate."""

    pin: ProfileRef | None = None
    passed: dict[str, float] = field(default_factory=dict)
    count: int = 0
    uses: dict[str, ProfileUse] = field(default_factory=dict)
    """Candidate → the profile that its verdict names."""
    faults: list[Finding] = field(default_factory=list)
    _chunks: set[str] = field(default_factory=set)

    def take(self, event: CandidatesScored, profiles: Profiles) -> None:
        """Judge a chunk; the first verdict of a chunk counts."""
        if event.chunk_id in self._chunks:
            return
        self._chunks.add(event.chunk_id)
        self.count += len(event.candidates)
        use = ProfileUse(event.profile, event.profile_sha256)
        profile = profiles.get(event.profile_sha256)
        self.faults.extend(verdict_findings(event))
        if profile is not None:
            self.faults.extend(judged_findings(event, profile))
        for candidate in event.candidates:
            self.uses[candidate.candidate_id] = use
            if candidate.passed and (profile is None or passes_under(candidate, profile)):
                self.passed[candidate.candidate_id] = candidate.score

    def note(self, passed: Mapping[str, float]) -> None:
        """Take passed candidates with their rank scores from a record that lacks the measurements."""
        self.passed.update(passed)

    def pin_findings(self, task_id: str, profiles: Profiles) -> Iterator[Finding]:
        """Yield the verdicts that were given by another profile than the order pins."""
        for use, count in Counter(self.uses.values()).items():
            text = self._deviation(use, profiles)
            if text:
                yield Finding(_CHECK, task_id, f"{count} of its verdicts name {use.label}, {text}")

    def selection_findings(self, selected: TaskSelected) -> Iterator[Finding]:
        """Yield a selection that names another profile than the order pins."""
        if self.pin is not None and selected.profile != self.pin:
            text = f"its selection names {label_of(selected.profile)}, its order pins {label_of(self.pin)}"
            yield Finding(_CHECK, selected.task_id, text)

    def gate_findings(
        self, task_id: str, delivered: Collection[str], profiles: Profiles
    ) -> Iterator[Finding]:
        """Yield the outputs that have no passing verdict of the pinned profile."""
        ungated = [id_ for id_ in delivered if id_ not in self.passed]
        if ungated:
            yield Finding("gate", task_id, f"{len(ungated)} outputs were delivered that did not pass")
        others = [
            id_
            for id_ in delivered
            if id_ in self.passed and id_ in self.uses and self._deviation(self.uses[id_], profiles)
        ]
        if others:
            text = f"{len(others)} outputs were delivered on verdicts of another profile than its order pins"
            yield Finding("gate", task_id, text)

    def _deviation(self, use: ProfileUse, profiles: Profiles) -> str:
        """Return how a profile differs from the pin; empty where it does not, or where nothing tells."""
        if self.pin is None:
            return ""
        if use.ref != self.pin:
            return f"its order pins {label_of(self.pin)}"
        profile = profiles.get(use.sha256)
        if profile is not None and profile.ref != self.pin:
            return f"which is the content of {profile.label}"
        return ""


def unknown_findings(tasks: Iterable[Verdicts], profiles: Profiles) -> Iterator[Finding]:
    """Yield each profile that verdicts name and that is not at hand, so that they could not be judged."""
    unknown = Counter(use for task in tasks for use in task.uses.values() if use.sha256 not in profiles)
    for use, count in sorted(unknown.items(), key=lambda pair: pair[0].label):
        others = [profile.sha256[:_SHOWN] for profile in profiles.values() if profile.ref == use.ref]
        at_hand = f"; at hand it has the sha256 {', '.join(others)}" if others else ""
        text = f"{count} verdicts name {use.label}, which is not at hand{at_hand}: give --profiles DIR with its file"
        yield Finding("profile not at hand", label_of(use.ref), text)
