"""
A table in a pipeline
=====================

``RidgeDistillerRegressor`` is a scikit-learn estimator: it stands at the end of a pipeline and in a grid search. Here
it replaces the 331 training patients of the diabetes data by a handful of rows.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analytic_dd import RidgeDistillerRegressor

data = load_diabetes(scaled=False)
train, test, y, y_test = train_test_split(data.data, data.target, random_state=0)
model = make_pipeline(StandardScaler(), RidgeDistillerRegressor(ridge=10.0, fit_intercept=True)).fit(train, y)
distiller = model[-1]
print(f"{len(distiller.distilled_X_)} rows for {len(train)}; R2 on the test part {model.score(test, y_test):.3f}")

# %%
# scikit-learn's own ridge regression on all the rows has the same coefficients and the same predictions.
plain = make_pipeline(StandardScaler(), Ridge(alpha=10.0)).fit(train, y)
print("largest difference of a prediction:", np.abs(plain.predict(test) - model.predict(test)).max())

# %%
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
at = np.arange(len(data.feature_names))
axis.plot(at, plain[-1].coef_.ravel(), "o", ms=10, mfc="none", label=f"Ridge on {len(train)} rows")
axis.plot(at, distiller.coef_.ravel(), "x", label=f"distilled, {len(distiller.distilled_X_)} rows")
axis.set(xticks=at, xticklabels=data.feature_names, ylabel="coefficient")
axis.legend()
