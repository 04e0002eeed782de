import torch

from reenact.face.box import box_max, box_mean


def test_means_and_maxima_of_a_point():
    image = torch.zeros(1, 1, 5, 7)
    image[..., 1, 3] = 9.0
    mean, largest = box_mean(image, 1), box_max(image, 2)
    inside = torch.zeros(5, 7)
    inside[:3, 2:5] = 1
    inside[0, 2:5] = 1.5  # the squares at the border hold six pixels
    torch.testing.assert_close(mean[0, 0], inside)
    square = torch.zeros(5, 7)
    square[:4, 1:6] = 9
    torch.testing.assert_close(largest[0, 0], square)
