"""The contractor's page (issue 6): an application's steps, one screen each, opened by a signed link."""
