"""The parts of `opalg.tomo.noise`, under which name they are used."""
