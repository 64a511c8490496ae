"""NoPeopleAllowed (Dobko et al., LID challenge 2020) and its base, IRNet (Ahn et al., CVPR 2019)."""
