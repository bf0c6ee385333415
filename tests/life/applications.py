"""Rules about application sessions, and about what follows when one is complete."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule
from optin.v1 import application_session_service_pb2 as sessions_pb
from optin.v1 import resources_pb2 as pb

from tests.life.model import BOUND, COMPLETE, IN_REVIEW, REUSED, SESSION_OPEN, STATE_FUND_ONLY
from tests.life.rules import Rules, awaited, contractors, quotes, sessions, states
from tests.support.client import GOOD_ANSWERS, answered, signed

INELIGIBLE = pb.APPLICATION_SESSION_STATUS_INELIGIBLE
TELLING: dict[pb.ApplicationSessionStatus.ValueType, dict[str, bool]] = {  # the answers that lead there
    COMPLETE: {},
    IN_REVIEW: {"losses_last_3_years": True},
    INELIGIBLE: {"age_18_or_over": False},
}
ends = st.sampled_from([COMPLETE, COMPLETE, COMPLETE, IN_REVIEW, INELIGIBLE])


class Applications(Rules):
    @rule(target=sessions, person=contractors, state=states)
    @awaited
    async def create_general_opt_in(self, person: str, state: str) -> Any:
        offered = "WORK_STATE_NOT_OFFERED" if state in STATE_FUND_ONLY else ""
        refusal = self.unless_deleted(person, offered)
        if refusal:
            await self.world.answer(self.client.session(person, state), refusal)
            return multiple()
        return await self.opt_in(person, state)

    @rule(target=sessions, quote=quotes)
    @awaited
    async def create_session_for_quote(self, quote: str) -> Any:
        session = await self.world.answer(self.client.quote_session(quote), self.quote_is_closed(quote))
        if session is None:
            return multiple()
        self.model.see_session(session)
        return session.id

    @rule(session=sessions, leads_to=ends)
    @awaited
    async def submit_step(self, session: str, leads_to: Any) -> None:
        await self._submit(session, leads_to)

    @rule(session=sessions, leads_to=ends)
    @awaited
    async def submit_all_steps(self, session: str, leads_to: Any) -> None:
        await self.complete(session, leads_to)

    async def complete(self, session: str, leads_to: Any = COMPLETE) -> None:
        while await self._submit(session, leads_to):
            if self.model.sessions[session].status not in SESSION_OPEN:
                return

    async def _submit(self, session: str, leads_to: Any) -> bool:
        """Takes the step that is due; whether it was taken."""
        known = self.model.sessions[session]
        form = await self.client.form(session)
        step: dict[str, Any]
        if known.step == pb.APPLICATION_STEP_VERIFY_INFO:
            step = {"verify_info": {}}
        elif known.step == pb.APPLICATION_STEP_APPLICATION_QUESTIONS:
            given = {question.id: GOOD_ANSWERS.get(question.id, False) for question in form.questions}
            telling = {name: value for name, value in TELLING[leads_to].items() if name in given}
            step = {"application_questions": answered(given | telling)}
            self.model.leads_to[session] = leads_to if telling else COMPLETE
        elif known.step == pb.APPLICATION_STEP_ESIGNATURE_DOCUMENT:
            step = {"esignature_document": signed([document.id for document in form.documents])}
        else:
            step = {"final_review": {}}
        after = await self.world.answer(self.client.submit(session, **step), self._step_refusal(known))
        if after is None:
            return False
        is_last = "final_review" in step
        assert after.status == (self.model.leads_to[session] if is_last else pb.APPLICATION_SESSION_STATUS_STARTED)
        await self._settled(after)
        return True

    def _step_refusal(self, session: pb.ApplicationSession) -> str:
        if session.status == COMPLETE:
            return "APPLICATION_ALREADY_COMPLETE"
        if session.status not in SESSION_OPEN:
            return "APPLICATION_CLOSED"
        return "QUOTE_ALREADY_ISSUED" if self.is_issued(session.quote) else ""

    async def _settled(self, session: pb.ApplicationSession) -> None:
        """A session has changed. If it is the complete application for a quote, the quote is issued."""
        if session.quote and session.status == COMPLETE:
            await self._issued(session)
        else:
            await self.world.check(session.contractor)
        await self.world.refresh(session.contractor)  # a quote whose time it held may be over with it

    async def _issued(self, session: pb.ApplicationSession) -> None:
        attached = self.model.best(self.model.wanted_by(self.model.quotes[session.quote], self.world.day(0)))
        quote = await self.client.get_quote(session.quote)
        assert quote.status == pb.QUOTE_STATUS_ISSUED
        policy = await self.client.policy(quote.policy)
        assert (attached.id if attached else policy.quote) == (policy.id if attached else quote.id)
        gains = self.model.gains(quote, policy)
        unclear = [made.id for made in self.model.of(session.contractor) if self.model.is_partly_covered(made)]
        await self.world.check(session.contractor, [*gains, *unclear], bound=0 if attached else 1)
        for id_, gained in gains.items():
            made = self.model.assignments[id_]
            assert policy.id in made.binding.policies
            assert gained.isdisjoint(made.binding.standard_workflow_coverage_types)
            assert made.binding.outcome == (REUSED if attached else BOUND)

    @rule(session=sessions, approves=st.booleans())
    @awaited
    async def review_application_session(self, session: str, approves: bool) -> None:
        known = self.model.sessions[session]
        decision = pb.REVIEW_DECISION_APPROVE if approves else pb.REVIEW_DECISION_DECLINE
        request = sessions_pb.ReviewApplicationSessionRequest(id=session, decision=decision)
        refusal = "" if known.status == IN_REVIEW else "APPLICATION_NOT_IN_REVIEW"
        refusal = refusal or ("QUOTE_ALREADY_ISSUED" if approves and self.is_issued(known.quote) else "")
        answer = await self.world.answer(self.client.sessions.ReviewApplicationSession(request), refusal)
        if answer is not None:
            assert answer.application_session.status == (COMPLETE if approves else INELIGIBLE)
            await self._settled(answer.application_session)

    @rule(session=sessions)
    @awaited
    async def cancel_application_session(self, session: str) -> None:
        """Of a complete general opt-in: withdraws it; what was bound stays."""
        known = self.model.sessions[session]
        refusal = "" if known.status in (*SESSION_OPEN, IN_REVIEW) else "APPLICATION_CLOSED"
        if known.status == COMPLETE:
            refusal = "" if known.is_general_opt_in else "APPLICATION_ALREADY_COMPLETE"
        after = await self.world.answer(self.client.cancel_session(session), refusal)
        if after is not None:
            assert after.status == pb.APPLICATION_SESSION_STATUS_CANCELLED
            await self._settled(after)

    @rule(session=sessions)
    @awaited
    async def expire_application_session(self, session: str) -> None:
        known = self.model.sessions[session]
        refusal = "" if known.status in SESSION_OPEN else "APPLICATION_CLOSED"
        refusal = "APPLICATION_ALREADY_COMPLETE" if known.status == COMPLETE else refusal
        request = sessions_pb.ExpireApplicationSessionRequest(id=session)
        answer = await self.world.answer(self.client.sessions.ExpireApplicationSession(request), refusal)
        if answer is not None:
            assert answer.application_session.status == pb.APPLICATION_SESSION_STATUS_EXPIRED
            await self._settled(answer.application_session)
