"""What clients send: closed models, so that an unknown field is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.domain.keys import Scope
from services.ingest.domain.orders import OrderForm
from winnow.contracts.envelope import Instant
from winnow.contracts.ids import AccountId
from winnow.contracts.money import Micro


class Body(BaseModel):
    """A request body: strict, closed, and silent about its input in errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


Name = Annotated[str, Field(max_length=100)]


class TaskRequest(Body):
    """An order for K outputs."""

    template: Name = Field(
        description="A template's name, see GET /v1/templates.", examples=["studio_headshot"]
    )
    mode: Name = Field(description="stable, fast or low_cost.", examples=["low_cost"])
    k: int = Field(description="How many outputs, 1..60.", examples=[6])
    prompt: str = Field(
        description="What to make, at most 2000 characters.", examples=["a friendly engineer"]
    )
    negative_prompt: str | None = Field(None, description="What to avoid, at most 2000 characters.")
    profile: Name | None = Field(None, description="Quality profile; the template's own by default.")
    inputs: list[Name] = Field(
        default=[], max_length=64, description="Ids of accepted inputs, see POST /v1/inputs."
    )
    width: int | None = Field(None, description="Pixels; the template's own by default.")
    height: int | None = Field(None, description="Pixels; the template's own by default.")
    cost_cap_usd_micro: Micro | None = Field(
        None, description="Most that may be spent at providers; the quote's default otherwise."
    )
    deadline_s: int | None = Field(None, description="Seconds until the task must have ended.")
    priority: int | None = Field(None, description="0 (last) .. 9 (first); 5 by default.")
    label: str | None = Field(None, description="Your own name for the task, at most 120 characters.")

    copy_text: str = Field(
        "",
        description="Words the picture must show, line by line, at most 200 characters, where the template judges"
        " wording. They are read and compared, not added to the prompt: name them there too.",
    )
    brand_colours: list[Name] = Field(
        default=[],
        max_length=64,
        description="Colours the picture must show, like #1b4d3e, where the template judges wording.",
    )

    def form(self) -> OrderForm:
        """Give the order as the domain reads it."""
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

    template: Name = Field(examples=["studio_headshot"])
    mode: Name = Field(examples=["low_cost"])
    k: int = Field(description="How many outputs, 1..60.", examples=[6])


class InputUrlRequest(Body):
    """An input to read from a URL."""

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    profile: Name | None = Field(None, description="Quality profile whose advice is wanted.")


class EndpointRequest(Body):
    """A webhook endpoint to register."""

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    event_types: list[Name] = Field(
        default=[], max_length=32, description="Event types to send; empty for every end of a task."
    )


class KeyRequest(Body):
    """A key to create."""

    account_id: AccountId
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1)]
    label: Annotated[str, Field(max_length=120)] = ""
    expires_at: Annotated[Instant, Field(strict=False)] | None = None


class GrantRequest(Body):
    """Credits to give."""

    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    source: Literal["plan", "topup", "promo", "rollover"]
    expires_at: Annotated[Instant, Field(strict=False)] | None = None


class RefundRequest(Body):
    """Credits to give back."""

    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]
