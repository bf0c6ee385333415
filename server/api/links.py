"""The link to the contractor's page, put into answers: made as one is given, and never kept with it (issue 6)."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import resources_pb2 as pb

from server.service.once import Reply

Link = Callable[[str, str], str]
"""Of a contractor and a session; empty: there is none for this caller."""

ONE, MANY = "application_session", "application_sessions"

SERVICE = sessions_pb.DESCRIPTOR.services_by_name["ApplicationSessionService"]
RESPONSES: Mapping[str, type[Message]] = {
    f"{SERVICE.full_name}/{method.name}": GetMessageClass(method.output_type)
    for method in SERVICE.methods
    if {ONE, MANY} & set(method.output_type.fields_by_name)
}


def put_into(answer: Message | Reply, method: str, link: Link) -> Message | Reply:
    """`method`: by its full name."""
    if method not in RESPONSES:
        return answer
    message = RESPONSES[method].FromString(answer.body) if isinstance(answer, Reply) else answer
    for session in _sessions(message):
        session.url = link(session.contractor, session.id)
    if isinstance(answer, Reply):
        return replace(answer, body=message.SerializeToString(deterministic=True))
    return message


def _sessions(response: Message) -> list[pb.ApplicationSession]:
    return list(getattr(response, MANY)) if hasattr(response, MANY) else [getattr(response, ONE)]
