"""From optical density to phases: the paper's section 3.3 and what stands beside it."""
