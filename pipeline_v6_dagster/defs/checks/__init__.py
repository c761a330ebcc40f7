"""The rules that ops rely on, as asset checks on what was just written. None blocks: a run does its work first."""
