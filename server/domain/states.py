"""The states of the United States, and where workers' compensation is offered."""

STATES = frozenset(
    [
        "AL",
        "AK",
        "AZ",
        "AR",
        "CA",
        "CO",
        "CT",
        "DE",
        "DC",
        "FL",
        "GA",
        "HI",
        "ID",
        "IL",
        "IN",
        "IA",
        "KS",
        "KY",
        "LA",
        "ME",
        "MD",
        "MA",
        "MI",
        "MN",
        "MS",
        "MO",
        "MT",
        "NE",
        "NV",
        "NH",
        "NJ",
        "NM",
        "NY",
        "NC",
        "ND",
        "OH",
        "OK",
        "OR",
        "PA",
        "RI",
        "SC",
        "SD",
        "TN",
        "TX",
        "UT",
        "VT",
        "VA",
        "WA",
        "WV",
        "WI",
        "WY",
    ]
)

STATE_FUND_ONLY = frozenset({"ND", "OH", "WA", "WY"})
"""Sell workers' compensation through a state fund only (spec 5)."""


def is_offered(state: str) -> bool:
    """Whether private workers' compensation can be bound in the state."""
    return state not in STATE_FUND_ONLY
