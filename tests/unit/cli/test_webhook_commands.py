"""Commands for webhooks: endpoints made, shown and deleted, deliveries shown and sent again."""

from __future__ import annotations

from tests.unit.cli.fake_api import Answers, api


def test_an_endpoint_that_is_not_allowed_is_refused_with_the_option_that_allows_it() -> None:
    problem = {"code": "url_not_allowed", "detail": "The address must begin with https://."}
    with api({"POST /v1/webhook-endpoints": [(422, problem)]}) as server:
        result = server.winnow("webhooks", "create", "http://127.0.0.1:9/hook")
    assert result.exit_code == 1
    assert "url_not_allowed" in result.output
    assert "winnow up --webhook-host" in result.output


def test_an_endpoint_is_made_shown_and_deleted() -> None:
    endpoint = {
        "endpoint_id": "ep_1",
        "url": "https://x.test/",
        "event_types": [],
        "enabled": True,
        "created_at": "2026-01-01T00:00:00Z",
    }
    answers: Answers = {
        "POST /v1/webhook-endpoints": [(201, endpoint | {"secret": "whsec_x"})],
        "GET /v1/webhook-endpoints": [(200, {"endpoints": [endpoint]})],
        "DELETE /v1/webhook-endpoints/ep_1": [(204, b"")],
    }
    with api(answers) as server:
        assert server.winnow("webhooks", "create", "https://x.test/").output == "ep_1\nwhsec_x\n"
        shown = server.winnow("webhooks", "show", "ep_1").output
        listed = server.winnow("webhooks", "list").output
        missing = server.winnow("webhooks", "show", "ep_2")
        deleted = server.winnow("webhooks", "delete", "ep_1")
    assert "event_types: every end of a task" in shown
    assert "https://x.test/" in listed
    assert missing.exit_code == 1
    assert deleted.output == "ep_1 is deleted.\n"


def test_deliveries_show_every_attempt_and_can_be_sent_again() -> None:
    delivery = {
        "delivery_id": "dlv_1",
        "endpoint_id": "ep_1",
        "task_id": "task_1",
        "event_type": "task.delivered",
        "state": "pending",
        "attempts": [
            {"at": "2026-01-01T00:00:00Z", "status": 500, "reason": "server_error", "latency_ms": 3},
            {"at": "2026-01-01T00:00:02Z", "status": 0, "reason": "timed_out", "latency_ms": 9},
        ],
        "next_attempt_at": "2026-01-01T00:00:05Z",
    }
    answers: Answers = {
        "GET /v1/webhook-deliveries": [(200, {"deliveries": [delivery]})],
        "POST /v1/webhook-deliveries/dlv_1/redeliver": [(202, delivery)],
    }
    with api(answers) as server:
        shown = server.winnow("webhooks", "deliveries", "--task", "task_1").output
        again = server.winnow("webhooks", "redeliver", "dlv_1")
    assert "00:00:00 500 server error" in shown
    assert "00:00:02 none timed out" in shown
    assert shown.count("dlv_1") == 1
    assert "task_id=task_1" in server.requests[0][0]
    assert again.output == "dlv_1 is sent again.\n"
