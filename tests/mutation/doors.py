"""The doors: what the API lets in, what it shows to whom, and the walls between accounts in ingest and delivery."""

from __future__ import annotations

from typing import Final

from tests.mutation.catalogue import Mutation

_HIDDEN: Final = "tests/unit/ingest/test_hidden_text.py"
_STRICT: Final = "tests/unit/ingest/test_strictness.py"
_MEDIA_TYPES: Final = "tests/unit/ingest/test_media_types.py"
_TIMES: Final = "tests/unit/ingest/test_times.py"
_COSTS: Final = "tests/unit/ingest/test_costs.py"
_SAME: Final = "tests/unit/ingest/test_sameness.py"
_PRIORITIES: Final = "tests/unit/ingest/test_priorities.py"
_WALLS: Final = "tests/unit/ingest/test_walls.py"
_DELIVERY: Final = "tests/unit/delivery/test_walls.py"
_STRUCTURE: Final = "tests/unit/pictures/test_reader.py"
_COPIED: Final = "tests/unit/pictures/test_jpeg.py"

MUTATIONS: Final[list[Mutation]] = [
    Mutation(
        "an archive behind a picture is stored",
        "winnow/pictures/jpeg.py",
        "    if end != len(content):",
        "    if end > len(content):",
        (f"{_STRUCTURE}::test_bytes_behind_the_end_are_refused",),
    ),
    Mutation(
        "the second size of a picture counts for nothing",
        "winnow/pictures/jpeg.py",
        "        if size is not None:\n",
        "        if size is None:\n            size = (0, 0)\n        if size == (1, 1):\n",
        (f"{_STRUCTURE}::test_broken_structures_are_refused_with_a_reason",),
    ),
    Mutation(
        "a compressed text of a picture inflates without end",
        "winnow/pictures/png.py",
        "    if inflate.unconsumed_tail:\n",
        "    if inflate.unused_data:\n",
        (f"{_STRUCTURE}::test_metadata_that_inflates_without_end_is_refused",),
    ),
    Mutation(
        "a delivered picture keeps its comment",
        "winnow/pictures/jpeg.py",
        "            if segment.marker in _APPLICATION or segment.marker == _COMMENT:\n",
        "            if segment.marker in _APPLICATION:\n",
        (f"{_COPIED}::test_the_pixels_stay_and_all_metadata_goes",),
    ),
    Mutation(
        "a picture with a profile is delivered without it as it is",
        "winnow/pictures/jpeg.py",
        'body.startswith(b"ICC_PROFILE\\x00"):\n                    return None',
        'body.startswith(b"ICC_PROFILE\\x00"):\n                    continue',
        (f"{_COPIED}::test_a_profile_decides_how_a_picture_looks",),
    ),
    Mutation(
        "a body of any media type is read as JSON",
        "services/ingest/api/json_body.py",
        "if media_type_of(request) != JSON or _charset(request) not in _UTF_8:",
        "if _charset(request) not in _UTF_8:",
        (f"{_MEDIA_TYPES}::test_a_body_that_does_not_say_it_is_json_is_not_read",),
    ),
    Mutation(
        "of two equal keys the last one wins",
        "services/ingest/api/json_body.py",
        "    if len(found) != len(pairs):",
        "    if len(found) > len(pairs):",
        (f"{_STRICT}::test_a_key_that_is_given_twice_is_refused_at_any_depth",),
    ),
    Mutation(
        "an unknown parameter is dropped",
        "services/ingest/api/strict.py",
        "        if name not in known:",
        "        if name == known:",
        (f"{_STRICT}::test_an_unknown_parameter_is_refused_like_an_unknown_field",),
    ),
    Mutation(
        "what is wrong with a request is told before its key is asked for",
        "services/ingest/api/strict.py",
        "                request.state.principal = await guard.admit(request, scope)\n"
        "                check_parameters(request, known)",
        "                check_parameters(request, known)\n"
        "                request.state.principal = await guard.admit(request, scope)",
        (f"{_STRICT}::test_nobody_without_a_key_learns_what_else_is_wrong",),
    ),
    Mutation(
        "a prompt may turn the direction of text",
        "services/ingest/domain/text.py",
        r"""_BIDI: Final = r"\u202a-\u202e\u2066-\u2069" """.rstrip(),
        r"""_BIDI: Final = r"\u2066-\u2069" """.rstrip(),
        (f"{_HIDDEN}::test_text_that_hides_itself_is_refused_and_its_place_named",),
    ),
    Mutation(
        "zero-width characters make a prompt",
        "services/ingest/domain/text.py",
        'in {"Cf", "Cc"}',
        'in {"Cc"}',
        (f"{_HIDDEN}::test_a_prompt_that_shows_nothing_is_empty",),
    ),
    Mutation(
        "a key may be born expired",
        "services/ingest/domain/keys.py",
        "    if at is not None and at <= now:",
        "    if at is not None and at > now and at <= now:",
        (f"{_TIMES}::test_nothing_is_made_that_has_expired_already",),
    ),
    Mutation(
        "Allow names the first route of an address alone",
        "services/ingest/api/problems.py",
        '            methods |= getattr(route, "methods", None) or set()',
        '            methods = methods or getattr(route, "methods", None) or set()',
        (f"{_STRICT}::test_a_method_that_is_not_taken_is_answered_with_all_that_are",),
    ),
    Mutation(
        "the stream shows every key what an attempt cost",
        "services/ingest/api/serializers.py",
        "dict(event.fields) if costs else without_costs(event.type, event.fields)",
        "dict(event.fields)",
        (f"{_COSTS}::test_a_customer_reads_no_cost_and_no_route_anywhere",),
    ),
    Mutation(
        "a quote shows every key what providers cost",
        "services/ingest/api/account.py",
        "        shown = principal.sees_costs",
        "        shown = True",
        (f"{_COSTS}::test_a_customer_reads_no_cost_and_no_route_anywhere",),
    ),
    Mutation(
        "the bill shows every key its costs",
        "services/ingest/api/tasks.py",
        "        value = credit_value_usd_micro if principal.sees_costs else None",
        "        value = credit_value_usd_micro",
        (f"{_COSTS}::test_a_customer_reads_no_cost_and_no_route_anywhere",),
    ),
    Mutation(
        "a default that is written out is another order",
        "services/ingest/domain/sameness.py",
        "        width=_unless(form.width, template.default_width),",
        "        width=form.width,",
        (f"{_SAME}::test_a_default_that_is_written_out_is_the_same_order",),
    ),
    Mutation(
        "a repeat that names the cap it was given is another order",
        "services/ingest/domain/sameness.py",
        "_unless(plain.cost_cap_usd_micro, accepted.cost_cap_usd_micro)}",
        "plain.cost_cap_usd_micro}",
        (f"{_SAME}::test_a_default_cap_that_has_moved_since_is_still_the_orders_own",),
    ),
    Mutation(
        "any key may ask for any priority",
        "services/ingest/domain/orders.py",
        "    if requester > priority_max:",
        "    if requester > PRIORITY.greatest:",
        (f"{_PRIORITIES}::test_a_key_asks_for_no_more_priority_than_its_account_has",),
    ),
    Mutation(
        "ingest answers for the task of another account",
        "services/ingest/app/task_queries.py",
        "        if state.accepted.account_id != account_id:\n            return None\n",
        "",
        ("tests/unit/ingest/test_placing.py::test_the_task_can_be_read_before_the_read_model_has_it",),
    ),
    Mutation(
        "ingest names no account when it deletes an endpoint",
        "services/ingest/api/webhooks.py",
        "await webhooks.delete(principal.account_id, endpoint_id)",
        'await webhooks.delete("acct_one", endpoint_id)',
        (f"{_WALLS}::test_another_accounts_thing_answers_as_one_that_is_not",),
    ),
    Mutation(
        "ingest names no account when it sends a delivery again",
        "services/ingest/api/webhooks.py",
        "await webhooks.redeliver(principal.account_id, delivery_id)",
        'await webhooks.redeliver("acct_one", delivery_id)',
        (f"{_WALLS}::test_another_accounts_thing_answers_as_one_that_is_not",),
    ),
    Mutation(
        "delivery sends again what another account asks for",
        "services/delivery/app/delivery_log.py",
        "if state is None or state.account_id != account_id or state.webhook(delivery_id) is None:",
        "if state is None or state.webhook(delivery_id) is None:",
        (f"{_DELIVERY}::test_a_redelivery_is_refused_by_the_state_although_the_index_has_let_it_through",),
    ),
    Mutation(
        "delivery sends a notice to an endpoint of another account",
        "services/delivery/app/webhooks.py",
        "not endpoint.enabled or endpoint.account_id != state.account_id:",
        "not endpoint.enabled:",
        (f"{_DELIVERY}::test_a_notice_is_not_sent_to_an_endpoint_of_another_account",),
    ),
    Mutation(
        "delivery links outputs for another account",
        "services/delivery/app/outputs.py",
        "            and state.account_id == account_id\n",
        "",
        (f"{_DELIVERY}::test_links_are_refused_to_another_account_as_to_a_task_that_is_not",),
    ),
    Mutation(
        "the delivery log shows another account's lines",
        "services/delivery/app/delivery_log.py",
        "            if state is not None and state.account_id == account_id\n",
        "            if state is not None\n",
        (f"{_DELIVERY}::test_the_log_leaves_out_another_accounts_task_although_the_index_names_it",),
    ),
    Mutation(
        "a link shows the task",
        "services/delivery/app/outputs.py",
        "        order = unguessable(self._name_key, task_id)",
        "        order = task_id[-12:]",
        ("tests/unit/delivery/test_service.py::test_a_selection_becomes_outputs_an_end_a_charge_and_links",),
    ),
]
"""The index's own check of the account is the store's: its suite (``store_suite.py``) asks the real one as well."""
