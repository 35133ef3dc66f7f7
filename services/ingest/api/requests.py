"""Requests of clients: closed models, so that an unknown field is refused.

Bounds that the domain checks with codes of its own stand here for the document alone (``json_schema_extra``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from services.ingest.domain.answers import END_TYPES
from services.ingest.domain.keys import Scope
from services.ingest.domain.orders import (
    BRAND_COLOURS,
    COLOUR_PATTERN,
    COPY_LENGTH_MAX,
    DEFAULT_PRIORITY,
    LABEL_LENGTH_MAX,
    PRIORITY,
    PROMPT_LENGTH_MAX,
    OrderForm,
)
from services.ingest.domain.text import LINE_PATTERN, LINES_PATTERN, check_text, is_blank
from winnow.contracts.commands import GrantSource
from winnow.contracts.errors import Refused
from winnow.contracts.ids import AccountId
from winnow.contracts.money import Micro
from winnow.contracts.values import Mode

K_MAX: Final = 60
SIZE_PX: Final = (256, 2048)
SIZE_STEP_PX: Final = 8
DEADLINE_S: Final = (10, 86_400)
INPUTS_MAX: Final = 8
"""The widest bounds of any template; each template has its own, see GET /v1/templates. A test holds them equal."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class Body(BaseModel):
    """A request body: strict, closed, and silent about its input in errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _line(text: str) -> str:
    try:
        check_text("The text", text, one_line=True)
    except Refused as refused:
        raise PydanticCustomError(refused.code.value, "{detail}", {"detail": refused.detail}) from None
    return text


def _visible(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("blank", "the text is empty")
    return text


def _time(value: object) -> datetime:
    """Read RFC 3339 text; a number is no time, so 0 is not 1970. Any offset is read, and written as UTC."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise PydanticCustomError("time", "a time is written like 2027-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("time", "there is no such time") from None


def _said(**schema: Any) -> dict[str, Any]:
    """Return what the document says of a field that the domain checks."""
    return schema


Name = Annotated[str, Field(max_length=100)]
Line = Annotated[str, AfterValidator(_line), Field(json_schema_extra=_said(pattern=LINE_PATTERN))]
Time = Annotated[datetime, BeforeValidator(_time, json_schema_input_type=datetime)]
Url = Annotated[str, Field(min_length=1, max_length=2048, json_schema_extra=_said(format="uri"))]
ModeName = Annotated[Name, Field(json_schema_extra=_said(enum=[mode.value for mode in Mode]))]
K = Annotated[
    int,
    Field(description="How many outputs.", json_schema_extra=_said(minimum=1, maximum=K_MAX)),
]
_SIZE: Final = _said(minimum=SIZE_PX[0], maximum=SIZE_PX[1], multipleOf=SIZE_STEP_PX)
_PROMPT: Final = _said(maxLength=PROMPT_LENGTH_MAX, pattern=LINES_PATTERN)


class TaskRequest(Body):
    """An order for K outputs. A default that is written out is the same order as one that leaves it out."""

    template: Name = Field(description="A template's name, see GET /v1/templates.")
    mode: ModeName
    k: K
    prompt: str = Field(
        description="What to make; it shows at least one character.",
        json_schema_extra=_said(minLength=1, maxLength=PROMPT_LENGTH_MAX, pattern=LINES_PATTERN),
    )
    negative_prompt: str | None = Field(None, description="What to avoid.", json_schema_extra=_PROMPT)
    profile: Name | None = Field(None, description="Quality profile; the template's own by default.")
    inputs: list[Name] = Field(
        default=[],
        max_length=64,
        description="Ids of accepted inputs, see POST /v1/inputs.",
        json_schema_extra=_said(maxItems=INPUTS_MAX),
    )
    width: int | None = Field(
        None, description="Pixels; the template's own by default.", json_schema_extra=_SIZE
    )
    height: int | None = Field(
        None, description="Pixels; the template's own by default.", json_schema_extra=_SIZE
    )
    cost_cap_usd_micro: Micro | None = Field(
        None, description="Most that may be spent at providers; the quote's default otherwise."
    )
    deadline_s: int | None = Field(
        None,
        description="Seconds until the task must have ended; the template's own by default.",
        json_schema_extra=_said(minimum=DEADLINE_S[0], maximum=DEADLINE_S[1]),
    )
    priority: int | None = Field(
        None,
        description=f"0 (last) .. 9 (first), {DEFAULT_PRIORITY} by default. An account may ask for at most"
        f" {DEFAULT_PRIORITY} unless an operator has set another limit; more is 403 priority_not_allowed.",
        json_schema_extra=_said(minimum=PRIORITY.least, maximum=PRIORITY.greatest),
    )
    label: str | None = Field(
        None,
        description="Your own name for the task.",
        json_schema_extra=_said(maxLength=LABEL_LENGTH_MAX, pattern=LINE_PATTERN),
    )

    copy_text: str = Field(
        "",
        description="Words the picture must show, line by line, where the template judges wording."
        " They are read and compared, not added to the prompt: name them there too.",
        json_schema_extra=_said(maxLength=COPY_LENGTH_MAX, pattern=LINES_PATTERN),
    )
    brand_colours: list[Annotated[Name, Field(json_schema_extra=_said(pattern=COLOUR_PATTERN))]] = Field(
        default=[],
        max_length=64,
        description="Colours the picture must show, where the template judges wording.",
        json_schema_extra=_said(maxItems=BRAND_COLOURS.greatest),
    )

    def form(self) -> OrderForm:
        """Return the order as the domain reads it."""
        return OrderForm(
            template=self.template,
            mode=self.mode,
            k=self.k,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            profile=self.profile,
            inputs=tuple(self.inputs),
            width=self.width,
            height=self.height,
            cost_cap_usd_micro=self.cost_cap_usd_micro,
            deadline_s=self.deadline_s,
            priority=self.priority,
            label=self.label,
            copy_text=self.copy_text,
            brand_colours=tuple(self.brand_colours),
        )


class QuoteRequest(Body):
    """A question what an order would cost."""

    template: Name = Field(description="A template's name, see GET /v1/templates.")
    mode: ModeName
    k: K


class InputUrlRequest(Body):
    """An input to read from a URL."""

    url: Url = Field(description="An https URL with a public address.")
    profile: Name | None = Field(None, description="Quality profile whose advice is wanted.")


class EndpointRequest(Body):
    """A webhook endpoint to register."""

    url: Url = Field(description="An https URL with a public address.")
    event_types: list[Annotated[Name, Field(json_schema_extra=_said(enum=list(END_TYPES)))]] = Field(
        default=[], max_length=32, description="Event types to send; empty for every end of a task."
    )


class KeyRequest(Body):
    """A key to create."""

    account_id: AccountId
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1)]
    label: Annotated[Line, Field(max_length=LABEL_LENGTH_MAX)] = ""
    expires_at: Time | None = Field(None, description="When the key ends, in the future; never by default.")


class AccountSettingsRequest(Body):
    """Limits of an account."""

    priority_max: Annotated[int, Field(ge=PRIORITY.least, le=PRIORITY.greatest)] = Field(
        description="The highest priority its orders may ask for."
    )


class GrantRequest(Body):
    """Credits to grant."""

    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    source: GrantSource
    expires_at: Time | None = Field(
        None, description="When what is left of it ends, in the future; never by default."
    )


class RefundRequest(Body):
    """Credits to refund."""

    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    reason: Annotated[Line, AfterValidator(_visible), Field(min_length=1, max_length=200)]
