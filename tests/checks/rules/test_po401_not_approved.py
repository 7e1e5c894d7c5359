from __future__ import annotations

import json

from support import PROMPT, prompt

REPLY = "prompts/support/reply.yaml"


def check(repo, *args):
    done = repo.cli("check", "--json", "--base", "main", *args)
    return done.code, [(each["rule"], each["path"]) for each in json.loads(done.out)["findings"]]


def test_finds_a_change_that_only_its_author_signed(pending):
    assert check(pending) == (1, [("PO401", REPLY)])


def test_finds_an_edit_after_the_approval(reviewed):
    reviewed.write(REPLY, prompt("Be rude.", version="1.1.0"))
    reviewed.commit("Edit after approval")
    assert check(reviewed) == (1, [("PO401", REPLY)])


def test_a_change_cannot_bring_the_policy_that_lets_it_pass(pending):
    pending.write(".promptops/policy.yaml", pending.read(".promptops/policy.yaml").replace("default: 1", "default: 0"))
    pending.commit("Ask for nobody")
    code, found = check(pending)
    assert code == 1
    assert ("PO401", REPLY) in found
    assert "PO402" in {rule for rule, _ in found}


def test_a_change_cannot_switch_its_rules_off(pending):
    pending.write("promptops.yaml", "version: 1\nenforcement: {PO401: 'off', PO301: 'off'}\n")
    pending.write(REPLY, prompt("Be rude.", version="1.0.0"))
    pending.commit("Switch off")
    assert {"PO401", "PO301"} <= {rule for rule, _ in check(pending)[1]}


def test_is_silent(reviewed):
    assert check(reviewed) == (0, [])


def test_is_silent_without_governed_changes(project):
    project.git("switch", "-q", "-c", "topic")
    project.write("README.md", "x")
    project.commit("Docs")
    assert check(project) == (0, [])


def test_warns_where_there_is_no_policy_at_all(registry):
    registry.git("switch", "-q", "-c", "topic")
    registry.write("prompts/other.yaml", PROMPT)
    registry.commit("Another")
    assert check(registry) == (0, [("PO401", ".promptops/policy.yaml")])
