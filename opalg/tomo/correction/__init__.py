"""The parts of `opalg.tomo.preprocessing`, under which name they are used."""
