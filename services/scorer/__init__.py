"""Scorer: takes quality measurements of pictures and gives a verdict per dimension.

Decides: raw value, score 0..100, status and pass or fail of each dimension of a quality profile version.
In: ``winnow.scorer.commands.v1`` (``ScoreCandidates``: object keys, never pixels or words), as group ``winnow-scorer``.
Out: ``winnow.tasks.v1`` (``candidates.scored``), with an event id derived from command, profile and models.
State: none. A verdict is a pure function of bytes, reference, prompt, profile version and model set; the first one wins.
gRPC ``ScorerService``: Screen (ingest, before an input is accepted), Score and Profiles (operators).
Rooms: ``domain`` maps and judges, ``app`` orders the steps, ``clients`` reads profiles, rules and stored objects.
``engine`` runs the measures in processes of one thread, and ``dimensions`` defines them. ``vision`` computes what
several dimensions share, and ``inference`` runs the networks. Each of these four imports only those named after it.
``tools`` is the command line. ``profiles`` holds the versioned quality profiles as data.
"""
