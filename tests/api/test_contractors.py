"""ContractorService, seen from outside (spec 3, 4 and 7)."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from optin.v1 import contractor_service_pb2 as contractors_pb
from optin.v1 import resources_pb2 as pb

from server.domain.states import STATES
from tests.conftest import NOW, Clock
from tests.support.client import Client, refused

ADDRESS = pb.Address(line1="123 Main St", locality="San Francisco", region="CA", postalcode="94102")


def create_request(**changes: Any) -> contractors_pb.CreateContractorRequest:
    fields: dict[str, Any] = {
        "first_name": "Jane",
        "last_name": "Doe",
        "email": "jane@example.com",
        "phone": "5551234567",
        "address": ADDRESS,
    }
    return contractors_pb.CreateContractorRequest(contractor=pb.Contractor(**fields | changes))


async def get(client: Client, contractor: str) -> pb.Contractor:
    return (await client.contractors.GetContractor(contractors_pb.GetContractorRequest(id=contractor))).contractor


async def update(client: Client, contractor: str, *paths: str, **fields: Any) -> pb.Contractor:
    request = contractors_pb.UpdateContractorRequest(
        contractor=pb.Contractor(id=contractor, **fields), update_mask=FieldMask(paths=paths) if paths else None
    )
    return (await client.contractors.UpdateContractor(request)).contractor


async def emails(client: Client, email: str = "") -> list[str]:
    request = contractors_pb.ListContractorsRequest(email=email)
    return [contractor.email for contractor in (await client.contractors.ListContractors(request)).contractors]


def stamp(days: int = 0) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(NOW + timedelta(days=days))
    return time


async def test_what_is_created_is_what_is_read(any_client: Client) -> None:
    made = await any_client.contractor(
        middle_name="Q",
        company_name="Doe & Daughters",
        withhold_premium=True,
        metadata={"crew": "night", "empty": "", "ñ": "Ω\n2"},
        address=pb.Address(
            line1="1 A St", line2="Flat 2", locality="Oakland", region="ca", postalcode="94601", country="usa"
        ),
        # Output-only, and so ignored:
        id="cn_mine",
        create_time=stamp(-9),
        delete_time=stamp(-9),
    )
    assert made.id.startswith("cn_")
    assert made.id != "cn_mine"
    assert made.create_time == made.update_time == stamp()
    assert not made.HasField("delete_time")
    assert (made.middle_name, made.company_name, made.withhold_premium) == ("Q", "Doe & Daughters", True)
    assert dict(made.metadata) == {"crew": "night", "empty": "", "ñ": "Ω\n2"}
    assert made.address == pb.Address(
        line1="1 A St", line2="Flat 2", locality="Oakland", region="CA", postalcode="94601", country="US"
    )
    assert await get(any_client, made.id) == made


async def test_only_the_starred_fields_are_needed(client: Client) -> None:
    refusal = await refused(client.contractors.CreateContractor(create_request(address=None)))
    assert refusal.fields == {"contractor.address"}
    made = await client.contractor(address=pb.Address(region="NY"))
    assert made.address == pb.Address(region="NY", country="US")
    assert not made.withhold_premium


async def test_names_may_be_100_characters_of_any_alphabet(client: Client) -> None:
    name = "Ж" * 100
    made = await client.contractor(first_name=name, middle_name=name, last_name=name)
    assert await get(client, made.id) == made
    assert (made.first_name, made.middle_name, made.last_name) == (name, name, name)


async def test_names_that_are_refused(client: Client) -> None:
    for name in ("", " ", "\t\n", "Ж" * 101, "Ja\0ne", "Ja\nne"):
        refusal = await refused(client.contractors.CreateContractor(create_request(first_name=name, last_name=name)))
        assert refusal.reason == "INVALID_FIELD"
        assert refusal.fields == {"contractor.first_name", "contractor.last_name"}, name


async def test_phones_are_stored_in_e164(client: Client) -> None:
    for phone in ("5551234567", "(555) 123-4567", "1 555 123 4567", "+1-555-123-4567"):
        assert (await client.contractor(phone=phone)).phone == "+15551234567", phone
    assert (await client.contractor(phone="+44 20 7946 0958")).phone == "+442079460958"


async def test_phones_that_are_not_possible(client: Client) -> None:
    for phone in ("", "1", "123-4567", "phone", "5" * 16, "+1 555", "+999 1234567", "555\x001234567", "5" * 10_000):
        refusal = await refused(client.contractors.CreateContractor(create_request(phone=phone)))
        assert refusal.fields == {"contractor.phone"}, phone


async def test_emails_are_checked_for_their_syntax_alone(client: Client) -> None:
    for email in ("a@example.com", "a@mail.test", "a@corp.invalid", "a@localhost", "a.b+c@Example.ORG"):
        made = await client.contractor(email=email)
        assert made.email.lower() == email.lower()


async def test_emails_that_are_none(client: Client) -> None:
    for email in ("", "jane", "jane@", "@example.com", "a b@example.com", "a@b@c.com", "a\0@b.com", "a" * 10_000):
        refusal = await refused(client.contractors.CreateContractor(create_request(email=email)))
        assert refusal.fields == {"contractor.email"}, email


async def test_an_email_is_at_most_254_characters(client: Client) -> None:
    longest = "a" * 64 + "@" + ".".join(["d" * 61] * 3) + ".com"
    assert len(longest) == 254
    assert (await client.contractor(email=longest)).email == longest
    refusal = await refused(client.contractors.CreateContractor(create_request(email=longest + "m")))
    assert refusal.fields == {"contractor.email"}


async def test_countries_are_taken_as_us(client: Client) -> None:
    for country in ("", "US", "us", "USA", "usa"):
        made = await client.contractor(address=pb.Address(region="CA", country=country))
        assert made.address.country == "US"


async def test_zips_have_5_or_9_digits_and_keep_their_zeros(client: Client) -> None:
    for zip_code, digits in (("02134", "02134"), ("021341234", "021341234"), ("94102-1234", "941021234"), ("", "")):
        made = await client.contractor(address=pb.Address(region="CA", postalcode=zip_code))
        assert made.address.postalcode.replace("-", "") == digits


async def test_addresses_that_are_refused(client: Client) -> None:
    bad = {
        "region": ("", "XX", "PR", "California", "C\0"),
        "country": ("CA", "Mexico", "US\0"),
        "postalcode": ("9410", "941021", "94102-12", "94-102", "-94102", "ABCDE", "٩٤١٠٢", "94102\0"),
        "line1": ("x" * 201, "1 A St\0"),
        "line2": ("x" * 201, "\0"),
        "locality": ("x" * 101, "San\nFrancisco"),
    }
    for field, values in bad.items():
        for value in values:
            address = pb.Address()
            address.CopyFrom(ADDRESS)
            setattr(address, field, value)
            refusal = await refused(client.contractors.CreateContractor(create_request(address=address)))
            assert refusal.fields == {f"contractor.address.{field}"}, value


async def test_every_state_and_dc_in_any_case(client: Client) -> None:
    assert len(STATES) == 51
    made = await client.contractor()
    for state in sorted(STATES):
        changed = await update(client, made.id, address=pb.Address(region=state.lower()))
        assert changed.address.region == state


async def test_metadata_at_its_limits(client: Client) -> None:
    metadata = {f"{n:040}": "v" * 500 for n in range(50)}
    made = await client.contractor(metadata=metadata)
    assert dict((await get(client, made.id)).metadata) == metadata


async def test_metadata_past_its_limits(client: Client) -> None:
    too_many = {str(n): "" for n in range(51)}
    for metadata in (too_many, {"k" * 41: ""}, {"k": "v" * 501}, {"": "v"}, {"k\0": "v"}, {"k": "v\0"}):
        refusal = await refused(client.contractors.CreateContractor(create_request(metadata=metadata)))
        assert refusal.fields == {"contractor.metadata"}


async def test_an_email_belongs_to_one_live_contractor(any_client: Client) -> None:
    client = any_client
    jane = await client.contractor(email="jane@example.com")
    again = await refused(client.contractors.CreateContractor(create_request(email="JANE@Example.com")))
    assert (again.code.name, again.reason) == ("ALREADY_EXISTS", "DUPLICATE_EMAIL")
    assert again.told == {"contractor": jane.id}

    other = await client.contractor(email="john@example.com")
    taken = await refused(update(client, other.id, email="Jane@EXAMPLE.com"))
    assert (taken.reason, taken.told) == ("DUPLICATE_EMAIL", {"contractor": jane.id})
    assert await get(client, other.id) == other

    own = await update(client, jane.id, email="JANE@example.com")
    assert own.email == "JANE@example.com"


async def test_an_email_is_freed_by_deletion_and_by_change(any_client: Client) -> None:
    client = any_client
    jane = await client.contractor(email="jane@example.com")
    await client.delete(jane.id)
    heir = await client.contractor(email="Jane@example.com")
    assert heir.id != jane.id
    await update(client, heir.id, email="elsewhere@example.com")
    assert (await client.contractor(email="jane@example.com")).id != heir.id


async def test_list_is_newest_first_and_filtered_by_whole_email(any_client: Client) -> None:
    client = any_client
    assert await emails(client) == []
    for name in ("ann", "bob", "joann"):
        await client.contractor(email=f"{name}@example.com")
    assert await emails(client) == ["joann@example.com", "bob@example.com", "ann@example.com"]
    assert await emails(client, "ANN@example.COM") == ["ann@example.com"]
    assert await emails(client, "nobody@example.com") == []
    assert await emails(client, "%") == []
    assert await emails(client, " ") == [], "which is nobody's, and not everybody's"


@pytest.mark.parametrize("sent", ["x@xn--mnchen-3ya.example", "e\u0301@example.com", "Jane@EXAMPLE.com"])
async def test_an_email_is_found_as_it_was_sent_and_as_it_is_kept(any_client: Client, sent: str) -> None:
    kept = (await any_client.contractor(email=sent)).email
    assert kept != sent
    await any_client.contractor()
    assert await emails(any_client, sent) == await emails(any_client, kept) == [kept]


async def test_an_update_without_a_mask_changes_what_is_set(any_client: Client, clock: Clock) -> None:
    client = any_client
    before = await client.contractor(company_name="Doe Ltd", metadata={"a": "1", "b": "2"}, withhold_premium=True)
    clock.now += timedelta(days=1)
    after = await update(client, before.id, phone="(555) 999-0000", metadata={"c": "3"}, withhold_premium=False)
    expected = pb.Contractor()
    expected.CopyFrom(before)
    expected.ClearField("metadata")
    expected.MergeFrom(pb.Contractor(phone="+15559990000", metadata={"c": "3"}, withhold_premium=False))
    expected.update_time.CopyFrom(stamp(1))
    assert after == expected
    assert await get(client, before.id) == after


async def test_an_update_with_a_mask_changes_what_it_names(client: Client) -> None:
    before = await client.contractor(middle_name="Q", company_name="Doe Ltd", metadata={"a": "1"})
    after = await update(client, before.id, "middle_name", "metadata", first_name="Ignored", company_name="Ignored")
    assert (after.middle_name, dict(after.metadata)) == ("", {})
    assert (after.first_name, after.company_name) == ("Jane", "Doe Ltd")
    moved = await update(client, before.id, "address", address=pb.Address(region="NY"))
    assert moved.address == pb.Address(region="NY", country="US")


async def test_a_mask_may_name_what_is_output_only(client: Client, clock: Clock) -> None:
    before = await client.contractor()
    clock.now += timedelta(days=1)
    names = ("id", "create_time", "update_time", "delete_time")
    assert await update(client, before.id, *names, create_time=stamp(-9), delete_time=stamp()) == before


async def test_an_update_of_nothing_changes_nothing(client: Client, clock: Clock) -> None:
    before = await client.contractor()
    clock.now += timedelta(days=1)
    assert await update(client, before.id) == before
    assert await update(client, before.id, first_name=before.first_name) == before


async def test_a_mask_with_an_unknown_path(client: Client) -> None:
    before = await client.contractor()
    for path in ("nonsense", "address.region", "metadata.a", "*", "", "contractor.phone", "phone\0"):
        refusal = await refused(update(client, before.id, "first_name", path, first_name="New"))
        assert refusal.fields == {"update_mask"}, path
    assert await get(client, before.id) == before


async def test_an_update_tells_all_bad_fields_at_once(client: Client) -> None:
    before = await client.contractor()
    bad = {"email": "no", "phone": "no", "address": pb.Address(region="XX", postalcode="1"), "first_name": "x" * 101}
    without_mask = {f"contractor.{f}" for f in ("email", "phone", "address.region", "address.postalcode", "first_name")}
    assert (await refused(update(client, before.id, **bad))).fields == without_mask
    masked = await refused(update(client, before.id, "phone", "last_name", "nonsense", **bad))
    assert masked.fields == {"contractor.phone", "contractor.last_name", "update_mask"}
    nameless = await refused(update(client, "", **bad))
    assert nameless.fields == {"contractor.id", *without_mask}
    nothing = await refused(client.contractors.UpdateContractor(contractors_pb.UpdateContractorRequest()))
    assert nothing.fields in ({"contractor"}, {"contractor.id"})
    assert await get(client, before.id) == before


async def test_what_is_required_cannot_be_cleared(client: Client) -> None:
    before = await client.contractor()
    for path in ("first_name", "last_name", "email", "phone", "address"):
        assert (await refused(update(client, before.id, path))).fields == {f"contractor.{path}"}


async def test_deletion_ends_what_is_open_and_keeps_the_record(any_client: Client, clock: Clock) -> None:
    client = any_client
    jane = await client.opted_in()
    job = await client.job()
    made = await client.assign(jane.id, job.id)
    opened = await client.session(jane.id, "NY")
    in_review = await client.session(jane.id, "TX")
    await client.apply(in_review.id, losses_last_3_years=True)

    clock.now += timedelta(days=1)
    deleted = await client.delete(jane.id)
    assert deleted.delete_time == stamp(1)
    assert await get(client, jane.id) == deleted
    assert await emails(client) == []

    (policy,) = await client.policies_of(jane.id)
    assert (policy.status, policy.cancel_reason) == (pb.POLICY_STATUS_CANCELLED, "contractor deleted")
    assert policy.cancel_time == stamp(1)
    assert await client.policy(policy.id) == policy
    for session in (opened, in_review):
        assert (await client.get_session(session.id)).status == pb.APPLICATION_SESSION_STATUS_CANCELLED
    gone = [
        await refused(update(client, jane.id, first_name="Joan")),
        await refused(client.delete(jane.id)),
        await refused(client.session(jane.id)),
        await refused(client.assign(jane.id, job.id)),
        await refused(client.assign(jane.id, job.id, validate_only=True)),
    ]
    missing = {"resource_type": "contractor", "resource_name": jane.id}
    assert [(refusal.reason, refusal.told) for refusal in gone] == [("RESOURCE_NOT_FOUND", missing)] * 5
    kept = await client.get_assignment(made.assignment.id)
    assert (kept.policy, kept.status) == (policy.id, pb.ASSIGNMENT_STATUS_ACTIVE)


async def test_get_of_what_is_not_there(client: Client) -> None:
    refusal = await refused(get(client, "cn_01J9Z3NDEKTSV4RRFFQ69G5FAV"))
    assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refusal.told == {"resource_type": "contractor", "resource_name": "cn_01J9Z3NDEKTSV4RRFFQ69G5FAV"}
