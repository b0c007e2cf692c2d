"""The tests of cobot-meter, in the same tree as service/."""
